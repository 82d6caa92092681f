"""What the README and the reference pages say, held against the program."""

from __future__ import annotations

import re

from db_ops.cli import collection
from db_ops.cli.commands import BY_NAME
from db_ops.settings import Settings, variables
from tests.support.project import REPOSITORY, Project

FOR_ALL = {"--json", "--quiet", "--verbose"}
README = (REPOSITORY / "README.md").read_text()


def table(page: str) -> list[list[str]]:
    """Return the rows of the first table of a page, without its head."""
    text = (REPOSITORY / "docs" / f"{page}.md").read_text()
    first = text.partition("\n|")[2].partition("\n\n")[0]
    rows = [line.strip("|").split("|") for line in first.splitlines()]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def test_the_readme_fits_on_a_few_screens() -> None:
    assert len(README.splitlines()) < 120


def test_the_command_table_is_the_program_s() -> None:
    named = {name for row in table("commands") for name in re.findall(r"`([a-z-]+)`", row[0])}
    assert named == set(BY_NAME)


def test_every_flag_of_the_command_table_exists_and_none_is_missing() -> None:
    for row in table("commands"):
        said = set(re.findall(r"--?[a-z][a-z-]*", row[1]))
        for name in re.findall(r"`([a-z-]+)`", row[0]):
            arguments = collection[name].get_arguments()
            flags = [{f"-{n}" if len(n) == 1 else f"--{n}" for n in a.names} for a in arguments]
            named = [names for names, a in zip(flags, arguments, strict=True) if not a.positional]
            assert all(any(flag in names for names in flags) for flag in said), name
            assert all(names & (said | FOR_ALL) for names in named), name


def test_the_settings_table_names_every_variable() -> None:
    said = {name for row in table("settings") for name in re.findall(r"`([A-Z_]+)`", row[0])}
    assert said == {*variables.OWN, "DATABASE_URL", "DATABASE_URL_FILE"}


def test_the_defaults_of_the_settings_table_are_the_program_s() -> None:
    defaults = {name: field.default for name, field in Settings.fields().items()}
    for name, default, _ in table("settings"):
        field = name.strip("`").removeprefix("DB_OPS_").lower()
        if re.fullmatch(r"\d+", default):
            assert float(default) == defaults[field], name


def test_the_env_py_of_the_readme_is_what_the_projects_of_the_tests_use(migrated: Project) -> None:
    block = re.search(r"`alembic/env.py`:\n\n```python\n(.*?)```", README, re.DOTALL)
    assert block is not None
    code = block[1].replace("from my_service.models", "from models")
    env_py = migrated.root / "alembic" / "env.py"
    path_setup = env_py.read_text().partition("from models")[0]
    env_py.write_text(path_setup + code)
    tasks = re.search(r"`tasks.py`:\n\n```python\n(.*?)```", README, re.DOTALL)
    assert tasks is not None
    (migrated.root / "tasks.py").write_text(tasks[1])
    migrated.table("0004", "four")
    migrated.run("upgrade", door="inv").succeeded()
