"""The documentation: commands and flags have words, and nothing is left out without a reason."""

from __future__ import annotations

import re

from db_ops.cli import collection
from db_ops.cli.commands import BY_NAME
from tests.support.pages import EXCUSES, excuses, pages
from tests.support.project import REPOSITORY
from tests.test_measuring import CASES


def test_a_command_line_is_left_out_only_for_a_known_reason() -> None:
    for path in pages():
        assert set(excuses(path.read_text())) <= EXCUSES, path


def test_every_command_has_a_section_of_its_own() -> None:
    text = (REPOSITORY / "docs" / "commands.md").read_text()
    told = set(re.findall(r"^## `([a-z-]+)`", text, re.MULTILINE))
    assert told == set(BY_NAME)


def test_every_flag_is_told_in_the_section_of_its_command() -> None:
    text = (REPOSITORY / "docs" / "commands.md").read_text()
    for name in BY_NAME:
        section = text.partition(f"\n## `{name}`\n")[2].partition("\n## ")[0]
        for argument in collection[name].get_arguments():
            common = argument.name in ("json", "quiet", "verbose") or argument.positional
            flag = "--" + argument.name.replace("_", "-")
            assert common or flag in section, f"{name} {flag}"


def test_contributing_is_short() -> None:
    assert len((REPOSITORY / "CONTRIBUTING.md").read_text().splitlines()) < 40


def test_every_pattern_of_the_documentation_is_tried_and_no_other() -> None:
    page = (REPOSITORY / "docs" / "plan.md").read_text()
    table = page.partition("## Unsafe patterns")[2].partition("\n## ")[0]
    first_cells = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    named = {name for cell in first_cells for name in re.findall(r"`([a-z-]+)`", cell)}
    assert named == {case.pattern for case in CASES}
