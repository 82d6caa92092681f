"""The documentation: its command lines are run, its links lead somewhere, commands have words."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from db_ops.cli import collection
from tests.support.doors import in_a_shell, run
from tests.support.pages import EXCUSES, Step, excuses, pages, steps
from tests.support.project import REPOSITORY
from tests.test_measuring import CASES

PAGES = [path for path in pages() if any(steps(path.read_text()))]
# What is no source, wherever it lies.
LEFT_OUT = (".git", ".venv", ".db_ops", "__pycache__", ".*_cache", "*.egg-info", "site", "dist")
SHELL = """
set -o pipefail
[ ! -e "$STATE" ] || . "$STATE"
cd "$(cat "$STATE.cwd" 2>/dev/null || pwd)"
eval "$COMMAND"
code=$?
unset COMMAND
export -p > "$STATE"
pwd > "$STATE.cwd"
exit $code
"""


@pytest.fixture
def checkout() -> Iterator[Path]:
    """A copy of the sources, whose server is stopped behind the test.

    In a folder that everybody may enter, or root's server would have its data elsewhere.
    """
    folder = Path(tempfile.mkdtemp(prefix="db_ops-docs-"))
    folder.chmod(0o755)
    root = folder / "checkout"
    shutil.copytree(REPOSITORY, root, ignore=shutil.ignore_patterns(*LEFT_OUT))
    yield root
    for home in folder.rglob(".db_ops"):
        run([sys.executable, "-m", "db_ops", "stop"], cwd=home.parent, env={})
    shutil.rmtree(folder)


def perform(step: Step, root: Path) -> tuple[int, str]:
    """Run one step in the shell that the steps before it have left."""
    env = {
        "STATE": str(root.parent / "state"),
        "COMMAND": step.command,
        "XDG_CACHE_HOME": str(root.parent / "cache"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        ["bash", "-c", SHELL],
        cwd=root,
        env=in_a_shell(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_command_line_of_a_page_does_what_the_page_says(path: Path, checkout: Path) -> None:
    for step in steps(path.read_text()):
        code, printed = perform(step, checkout)
        told = f"$ {step.command}\n{printed}(exit {code})"
        assert code == step.exit_code if step.exit_code is not None else code, told
        assert step.missing(printed) is None, f"{told}\nmissing: {step.missing(printed)}"


def test_a_command_line_is_left_out_only_for_a_known_reason() -> None:
    for path in pages():
        assert set(excuses(path.read_text())) <= EXCUSES, path


def test_the_site_is_built_and_no_link_is_broken(tmp_path: Path) -> None:
    site = str(tmp_path / "site")
    argv = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", site]
    run(argv, cwd=REPOSITORY, env={"NO_MKDOCS_2_WARNING": "1"}, timeout=120).succeeded()
    assert (tmp_path / "site" / "tutorial" / "index.html").exists()


def test_every_command_has_a_section_of_its_own() -> None:
    text = (REPOSITORY / "docs" / "commands.md").read_text()
    told = set(re.findall(r"^## `([a-z-]+)`", text, re.MULTILINE))
    assert told == set(collection.task_names)


def test_every_flag_is_told_in_the_section_of_its_command() -> None:
    text = (REPOSITORY / "docs" / "commands.md").read_text()
    for name in collection.task_names:
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
