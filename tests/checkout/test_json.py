"""`--json` and `DB_OPS_LOG=json`: every document is what its schema says, and alone on stdout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from db_ops.cli.commands import BY_NAME
from scripts.schemas import FOLDER, all_schemas, text_of
from tests.support.doors import command_line, run
from tests.support.project import Project
from tests.support.schemas import read_schema, schema_names, validated

ONE = """
class One(Base):
    __tablename__ = "one"
    id: Mapped[int] = mapped_column(primary_key=True)
"""
# What follows a command, and what it exits with on a database at 0003 of four revisions.
CALLS = {
    "cache": [("", 0), ("--clear", 0)],
    "check-models": [("", 3)],
    "create-migration": [("-m more", 0), ("", 2), ("--rebase 0001", 2)],
    "delete-db": [("", 0), ("--confirm other", 4)],
    "diagram": [("", 1), ("--revisions", 0), ("--revisions --check --output x.md", 3)],
    "doctor": [("", 0)],
    "branches": [("", 2), ("--prune", 2)],
    "downgrade": [("", 0), ("--plan", 0), ("-s 9", 1), ("-s x", 2)],
    "dump": [("x.dump", 0), ("x", 2)],
    "load": [("x.dump", 2), ("alembic.sql", 2)],
    "fleet": [("status", 2), ("upgrade --jobs x", 2)],
    "history": [("", 0), ("--record", 0)],
    "init": [("", 0), ("--from-migrations", 0)],
    "new": [("", 2)],
    "recreate": [("", 0), ("--from-migrations", 0), ("--confirm other", 4)],
    "start": [("", 2)],
    "restore": [("nothing", 1), ("nothing --confirm other", 4)],
    "seed": [("", 2), ("--confirm other", 2)],
    "shell": [("-c VALUES(1)", 0)],
    "snapshot": [("one", 0), ("one --confirm other", 4)],
    "snapshots": [("", 0), ("--drop nothing", 1)],
    "squash": [("", 2), ("0002", 4)],
    "stamp": [("0003", 0), ("0004", 3), ("--find", 0), ("", 2), ("0001 --confirm other", 4)],
    "status": [("", 0), ("--check", 3)],
    "stop": [("", 2)],
    "undo": [("--list", 0), ("", 1), ("--confirm other", 4)],
    "upgrade": [("", 0), ("-r 0003", 0), ("-r nonsense", 2), ("--plan", 0), ("--check", 2)],
    "url": [("", 0), ("--with-password", 0)],
    "verify": [("", 3), ("--quick", 3)],
}


@pytest.fixture
def behind(migrated: Project, server_url: str) -> Project:
    """A project whose newest revision is not applied."""
    migrated.env["DB_OPS_TEST_URL"] = server_url
    migrated.models(ONE)
    migrated.table("0004", "four")
    return migrated


def test_the_schemas_are_those_of_the_classes() -> None:
    written = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    derived = {name: text_of(schema) for name, schema in all_schemas().items()}
    assert written == derived, "run: inv schemas"


def test_every_schema_is_one() -> None:
    for name in schema_names():
        Draft202012Validator.check_schema(read_schema(name))


def test_a_schema_alone_validates_a_document_with_fields_of_a_later_version() -> None:
    schema = read_schema("snapshots.json")
    document = {"result": "snapshots", "exit_code": 0, "location": "x/y", "snapshots": []}
    assert not list(Draft202012Validator(schema).iter_errors(document | {"dropped": None}))
    assert not list(Draft202012Validator(schema).iter_errors(document | {"dropped": None, "z": 1}))
    assert list(Draft202012Validator(schema).iter_errors(document | {"location": 1}))


def test_every_command_is_called_below() -> None:
    assert CALLS.keys() == set(BY_NAME)


@pytest.mark.parametrize(
    ("command", "arguments", "code"),
    [(command, *call) for command, calls in CALLS.items() for call in calls],
)
def test_every_command_prints_a_document_of_its_schema(
    behind: Project, command: str, arguments: str, code: int
) -> None:
    outcome = behind.run(command, *arguments.split(), "--json")
    assert outcome.code == code, outcome.err
    document = validated(f"{command}.json", outcome.out)
    assert document["exit_code"] == code
    assert outcome.out.count("\n") == 1
    assert ("error" in document) == outcome.err.startswith("error: ")


def test_the_embedded_server_s_commands_print_documents_too(project: Project) -> None:
    del project.env["DATABASE_URL"]
    try:
        assert validated("start.json", project.run("start", "--json").out)["started"]
    finally:
        assert validated("stop.json", project.run("stop", "--json").out)["stopped"]


def test_a_migration_written_is_a_document_too(migrated: Project) -> None:
    migrated.models(ONE.replace("one", "five"))
    outcome = migrated.run("create-migration", "-m", "five", "--no-rename", "--json")
    outcome.succeeded()
    assert Path(validated("create-migration.json", outcome.out)["revision"]["path"]).name


def test_an_error_says_in_the_document_what_it_says_to_people(migrated: Project, door: str) -> None:
    outcome = migrated.run("delete-db", "--confirm", "other", "--json", door=door).failed(4)
    document = validated("delete-db.json", outcome.out)
    assert document["error"] == "Refused"
    assert document["message"] == outcome.error
    assert document["hint"] == outcome.hint
    assert document["details"]["command"] == "delete-db"


def test_a_failing_revision_is_told_with_its_data(migrated: Project) -> None:
    migrated.revision("0004", "op.execute('SELECT 1/0')")
    document = validated("upgrade.json", migrated.run("upgrade", "--json").failed(1).out)
    assert document["error"] == "MigrationFailed"
    assert document["details"]["revision"] == "0004"
    assert document["details"]["current"] == ["0003"]


def test_a_misused_command_line_is_a_document_where_json_is_asked_for(project: Project) -> None:
    outcome = project.run("init", "--bogus", "--json").failed(2)
    assert validated("init.json", outcome.out)["error"] == "UsageError"


def test_a_misused_command_line_is_a_line_of_the_log(project: Project) -> None:
    project.env["DB_OPS_LOG"] = "json"
    outcome = project.run("init", "--bogus")
    assert outcome.code == 2
    (line,) = outcome.err.splitlines()
    assert validated("log.json", line)["error"] == "UsageError"


def test_what_revisions_and_their_children_print_goes_to_stderr(project: Project) -> None:
    project.revision("0001", "import os\nprint('from python')\nos.system('echo from a shell')")
    outcome = project.run("init", "--from-migrations", "--json").succeeded()
    validated("init.json", outcome.out)
    assert "from python" in outcome.err
    assert "from a shell" in outcome.err


def test_a_chain_prints_one_document_a_line(migrated: Project) -> None:
    outcome = migrated.run("status", "--json", "url", "--json").succeeded()
    status, url = outcome.out.splitlines()
    validated("status.json", status)
    validated("url.json", url)


def test_a_document_in_another_encoding_is_the_same_document(migrated: Project) -> None:
    migrated.revision("0004", summary="größer → 大")
    migrated.env["PYTHONIOENCODING"] = "latin-1"
    argv = command_line("manage_db", ("status", "--json"), migrated.root)
    outcome = run(argv, cwd=migrated.root, env=migrated.env).succeeded()
    assert validated("status.json", outcome.out)["pending"][0]["summary"] == "größer → 大"


def test_the_log_is_one_document_a_line_on_stderr(project: Project) -> None:
    project.env["DB_OPS_LOG"] = "json"
    project.table("0001", "one")
    project.revision("0002", "op.execute('SELECT 1/0')")
    project.run("init", "--from-migrations")
    outcome = project.run("upgrade")
    lines = [validated("log.json", line) for line in outcome.err.splitlines()]
    events = [line["event"] for line in lines]
    assert events[-3:] == ["RevisionStarted", "Failed", "Ended"]
    assert lines[-1]["exit_code"] == outcome.code == 1
    assert lines[-1]["command"] == "upgrade"
    assert outcome.out == ""


def test_the_log_and_the_document_go_together(migrated: Project) -> None:
    migrated.env["DB_OPS_LOG"] = "json"
    outcome = migrated.run("recreate", "--from-migrations", "--json").succeeded()
    validated("recreate.json", outcome.out)
    lines = [validated("log.json", line) for line in outcome.err.splitlines()]
    assert [line["event"] for line in lines].count("RevisionFinished") == 3


def test_a_log_form_that_does_not_exist_is_misuse(project: Project) -> None:
    project.env["DB_OPS_LOG"] = "xml"
    outcome = project.run("status").failed(2)
    assert "DB_OPS_LOG" in outcome.error


def test_no_schema_is_without_a_word_of_explanation() -> None:
    for name in schema_names():
        for branch in read_schema(name)["oneOf"]:
            assert branch.get("description") or "$ref" in branch, json.dumps(branch)
