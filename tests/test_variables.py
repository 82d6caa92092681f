"""Variables in the environment and in `.env`: what is misspelt, empty or unreadable is said."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from db_ops.settings import parsed_variables, sources, variables
from tests.support.project import Project
from tests.support.schemas import validated

ECHOES_X = """
from alembic import context
import json, pathlib
pathlib.Path("seen.json").write_text(json.dumps(context.get_x_argument()))
"""


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("'label=two words' other=1", ["label=two words", "other=1"]),
        (
            '["label=two words", "payload={\\"a\\": \\"b c\\"}"]',
            ["label=two words", 'payload={"a": "b c"}'],
        ),
        ("tenant=north", ["tenant=north"]),
    ],
)
def test_arguments_for_env_py_arrive_as_they_were_written(
    migrated: Project, variable: str, expected: list[str]
) -> None:
    env_py = migrated.root / "alembic" / "env.py"
    env_py.write_text(ECHOES_X + env_py.read_text())
    migrated.table("0004", "four")
    migrated.env["DB_OPS_X"] = variable
    migrated.run("-x", 'last={"a": "b c"}', "upgrade").succeeded()
    seen = json.loads((migrated.root / "seen.json").read_text())
    assert seen == [*expected, 'last={"a": "b c"}']


@pytest.mark.parametrize("value", ["it's", '["a", 1]', '["a"', "[1]"])
def test_arguments_that_cannot_be_split_are_misuse(project: Project, value: str) -> None:
    project.env["DB_OPS_X"] = value
    outcome = project.run("status").failed(2)
    assert "DB_OPS_X: cannot be split into arguments" in outcome.error
    assert "DB_OPS_X in the environment or in .env" in outcome.hint


def test_an_argument_typed_for_one_command_leaves_the_environment_alone(migrated: Project) -> None:
    env_py = migrated.root / "alembic" / "env.py"
    tell = "import os\nprint('set:', {'DB_OPS_X', 'DB_OPS_NAME'} & {*os.environ})\n"
    env_py.write_text(tell + env_py.read_text())
    migrated.table("0004", "four")
    outcome = migrated.run("--name", "alembic", "-x", "a=b", "upgrade").succeeded()
    assert "set: set()" in outcome.out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "DATABASE_URL_FILE: cannot read {path}: No such file"),
        (b"", "DATABASE_URL_FILE: {path} is empty"),
        (b"\xff\xfe", "DATABASE_URL_FILE: {path} is not UTF-8"),
        (b"postgresql://u:hunter2@h/app\nPGUSER=x\n", "{path} has a second line, line 2"),
    ],
)
def test_a_file_for_the_url_that_does_not_hold_one(
    project: Project, content: bytes | None, said: str
) -> None:
    path = project.root / "secret"
    if content is not None:
        path.write_bytes(content)
    project.env["DATABASE_URL_FILE"] = str(path)
    outcome = project.run("status").failed(2)
    assert said.format(path=path) in outcome.error
    assert "hunter2" not in outcome.err


@pytest.mark.parametrize(
    "name", ["DATABASE_URL", "DATABASE_URL_FILE", "DB_OPS_ALEMBIC_INI", "DB_OPS_SCRATCH_URL_FILE"]
)
def test_an_empty_variable_is_misuse_and_no_server_is_started(project: Project, name: str) -> None:
    if name.startswith("DATABASE"):
        del project.env["DATABASE_URL"]
    project.env[name] = ""
    outcome = project.run("init").failed(2)
    assert f"{name}: set, but empty" in outcome.error
    assert not (project.root / ".db_ops").exists()


def test_a_dotenv_that_is_not_utf_8_is_named(project: Project) -> None:
    (project.root / ".env").write_bytes(b"A=1\nNAME=J\xf6rg\n")
    outcome = project.run("status").failed(2)
    assert f"{project.root}/.env: line 2 is not UTF-8" in outcome.error
    assert outcome.hint == f"correct {project.root}/.env"


def test_a_byte_order_mark_hides_no_variable(migrated: Project) -> None:
    (migrated.root / ".env").write_bytes(f"\ufeffDATABASE_URL={migrated.url}\n".encode())
    del migrated.env["DATABASE_URL"]
    assert "up to date" in migrated.run("status").succeeded().out


def test_the_log_and_the_traceback_may_be_asked_for_in_dotenv(migrated: Project) -> None:
    dotenv = migrated.root / ".env"
    dotenv.write_text("DB_OPS_LOG=json\n")
    for line in migrated.run("upgrade").succeeded().err.splitlines():
        validated("log.json", line)
    (migrated.root / ".env").write_text("DB_OPS_LOG=json\nDB_OPS_LOCK_RETRIES=many\n")
    failed = migrated.run("upgrade")
    assert [validated("log.json", line)["event"] for line in failed.err.splitlines()] == [
        "Failed",
        "Ended",
    ]
    dotenv.write_text("DB_OPS_DEBUG=true\n")
    assert "Traceback" in migrated.run("upgrade", "-r", "nope").err


def test_a_line_of_dotenv_that_says_nothing_is_noted_in_our_words(migrated: Project) -> None:
    (migrated.root / ".env").write_text("# comment\nA=1\nthis is ' no line = \"\n")
    outcome = migrated.run("status").succeeded()
    path = migrated.root / ".env"
    assert outcome.err == f"note: {path}: line 3 is ignored: it is not NAME=VALUE\n"
    migrated.env["DB_OPS_LOG"] = "json"
    events = [validated("log.json", line) for line in migrated.run("status").err.splitlines()]
    assert [event["event"] for event in events] == ["Noted", "Ended"]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("DB_OPS_LOCK_TIMOUT", "DB_OPS_LOCK_TIMEOUT"),
        ("DB_OPS_ENVIROMENT", "DB_OPS_ENVIRONMENT"),
        ("DBOPS_LOG", "DB_OPS_LOG"),
        ("db_ops_log", "DB_OPS_LOG"),
        ("DB_OP_SCRATCH_URL", "DB_OPS_SCRATCH_URL"),
    ],
)
def test_a_misspelt_variable_is_named_with_the_nearest_one(
    migrated: Project, name: str, nearest: str
) -> None:
    migrated.env[name] = "x"
    said = f"{name} is not a setting; did you mean {nearest}?"
    assert migrated.run("status", "url").succeeded().err == f"note: {said}\n"
    assert said in migrated.run("doctor").out
    del migrated.env[name]
    (migrated.root / ".env").write_text(f"{name}=x\n")
    assert said in migrated.run("status").err
    assert migrated.run("status", "-q").err == ""


def test_variables_of_others_and_of_the_ci_files_are_no_mistakes(migrated: Project) -> None:
    migrated.env |= {"DB_OPTIONS": "x", "DB_OPS_COMMANDS": "init", "DBO_LOG": "x", "DB_HOST": "h"}
    assert migrated.run("status").succeeded().err == ""


@pytest.mark.parametrize(("name", "meant"), [("dev", "development"), ("testing", "test")])
def test_another_name_for_an_environment_is_protected_and_its_own_is_suggested(
    migrated: Project, name: str, meant: str
) -> None:
    migrated.env["DB_OPS_ENVIRONMENT"] = name
    said = f"{name}, which is protected; did you mean {meant}?"
    assert said in migrated.run("delete-db").failed(4).error
    assert len(migrated.tables) == 4
    assert said in migrated.run("doctor").out
    del migrated.env["DATABASE_URL"]
    assert said in migrated.run("init").failed(2).error


def test_a_mistake_in_pyproject_is_sought_there(project: Project) -> None:
    (project.root / "pyproject.toml").write_text("[tool.db_ops]\nx = 'tenant=north'\n")
    outcome = project.run("status").failed(2)
    assert outcome.hint == "correct [tool.db_ops] x in pyproject.toml"


def test_every_variable_that_is_read_is_listed_once() -> None:
    read, parsed = (
        set(re.findall(r'"(DB_OPS_[A-Z_]+)"', Path(module.__file__).read_text()))
        for module in (sources, parsed_variables)
    )
    assert read | parsed <= set(variables.OWN)
    assert parsed == set(variables.PARSED)
    assert len(variables.OWN) == len(set(variables.OWN))
