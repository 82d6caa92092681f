"""The schema file: the schema that the migrations make, in Git, for a review to show."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.support.doors import Outcome
from tests.support.migrations import THREE_TABLES, write_models
from tests.support.project import Project
from tests.support.schemas import validated


@pytest.fixture
def named(migrated: Project) -> Project:
    """A project at its third revision that names a schema file, whose models add a column."""
    (migrated.root / "pyproject.toml").write_text('[tool.db_ops]\nschema_file = "schema.sql"\n')
    write_models(migrated, THREE_TABLES)
    migrated.env["DB_OPS_TEST_URL"] = f"{migrated.url.rpartition('/')[0]}/postgres"
    return migrated


def schema_file(project: Project) -> Path:
    return project.root / "schema.sql"


def add_view(project: Project) -> None:
    project.revision("0004", "op.execute('CREATE VIEW ids AS SELECT id FROM one WHERE id > 1')")


def test_upgrade_writes_what_the_migrations_make_and_not_what_was_changed_by_hand(
    named: Project, door: str
) -> None:
    named.query("ALTER TABLE one ADD COLUMN by_hand integer")
    add_view(named)
    outcome = named.run("upgrade", door=door).succeeded()
    assert outcome.out.splitlines()[-1] == "schema.sql written"
    text = schema_file(named).read_text()
    assert "-- revision: 0004\n" in text
    assert "CREATE TABLE public.one (\n    id integer NOT NULL,\n" in text
    assert "CREATE VIEW public.ids AS SELECT id\n   FROM public.one\n  WHERE (id > 1);" in text
    assert not re.search(r"by_hand|alembic_version|history|^SET |restrict|OWNER", text, re.M)
    # At head, nothing is built and nothing is looked at.
    schema_file(named).unlink()
    assert "schema.sql" not in named.run("upgrade", door=door).succeeded().out
    assert not schema_file(named).exists()


def test_create_migration_writes_the_schema_of_its_new_head(named: Project, door: str) -> None:
    outcome = named.run("create-migration", "-m", "add name", "--json", door=door).succeeded()
    document = validated("create-migration.json", outcome.out)
    assert document["schema_file"] == {"path": "schema.sql", "written": True, "problem": None}
    text = schema_file(named).read_text()
    assert f"-- revision: {document['revision']['id']}\n" in text
    assert "    id integer NOT NULL,\n    name character varying,\n" in text
    # The file is that of the migrations however they were run.
    written = schema_file(named).stat().st_mtime_ns
    document = validated("upgrade.json", named.run("upgrade", "--json", door=door).succeeded().out)
    assert document["schema_file"] == {"path": "schema.sql", "written": False, "problem": None}
    assert schema_file(named).stat().st_mtime_ns == written
    assert "agree" in named.run("check-models", door=door).succeeded().out


def test_check_models_names_what_is_stale_and_the_command_that_writes_it(
    named: Project, door: str
) -> None:
    write_models(named, THREE_TABLES.replace("name: Mapped[str | None]", ""))
    outcome = check(named, door)
    assert "schema.sql: there is no such file" in outcome.out
    command = "inv db.check-models" if door == "inv" else "scripts/manage_db.py check-models"
    assert f"{command} --write\n" in outcome.out
    written = named.run("check-models", "--write", door=door).succeeded()
    assert "schema.sql written" in written.out
    text = schema_file(named).read_text()
    # What editors and Git do to lines is no difference.
    schema_file(named).write_bytes(text.rstrip().replace("\n", " \r\n").encode())
    named.run("check-models", door=door).succeeded()
    schema_file(named).write_text(text.replace("id integer", "id bigint", 1))
    outcome = check(named, door, "--json")
    (difference,) = validated("check-models.json", outcome.out)["differences"]
    number = text.splitlines().index("    id integer NOT NULL,") + 1
    assert difference["kind"] == "schema-file"
    assert difference["description"].endswith(f"make, from line {number} on")
    assert difference["values"] == {
        "file": "    id bigint NOT NULL,",
        "migrations": "    id integer NOT NULL,",
    }


def check(project: Project, door: str, *options: str) -> Outcome:
    outcome = project.run("check-models", *options, door=door)
    assert outcome.code == 3, outcome
    return outcome


@pytest.mark.parametrize("env", [{"CI": "true"}, {"DB_OPS_ENVIRONMENT": "staging"}])
def test_no_schema_file_is_written_in_ci_or_to_a_protected_database(
    named: Project, env: dict[str, str]
) -> None:
    add_view(named)
    named.query(f"COMMENT ON DATABASE {named.url.rpartition('/')[2]} IS NULL")
    named.env |= env
    assert "schema.sql" not in named.run("upgrade").succeeded().out
    assert not schema_file(named).exists()


def test_a_file_of_somebody_else_s_is_never_overwritten(named: Project) -> None:
    schema_file(named).write_text("CREATE TABLE mine ();\n")
    add_view(named)
    outcome = named.run("upgrade").succeeded()
    assert "schema.sql not written: it is there, and was not written by db-ops" in outcome.out
    assert "schema.sql: not written by db-ops; name another" in check(named, "inv", "--write").out
    assert schema_file(named).read_text() == "CREATE TABLE mine ();\n"


def test_a_link_stays_a_link_and_a_file_keeps_its_mode(named: Project) -> None:
    kept = named.root / "db" / "structure.sql"
    kept.parent.mkdir()
    kept.touch()
    kept.chmod(0o660)
    schema_file(named).symlink_to(kept)
    named.run("check-models", "--write")
    assert schema_file(named).is_symlink()
    assert "-- revision: 0003\n" in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o660


def test_a_folder_that_takes_no_file_is_no_failure_of_the_upgrade(named: Project) -> None:
    schema_file(named).mkdir()
    add_view(named)
    assert "schema.sql not written: Is a directory" in named.run("upgrade").succeeded().out
    assert "schema.sql: cannot be read: Is a directory" in check(named, "inv").out


def test_a_file_that_is_none_of_sql_or_not_of_the_project_is_refused(named: Project) -> None:
    for name in ("schema.txt", "/tmp/schema.sql", "../schema.sql"):
        (named.root / "pyproject.toml").write_text(f'[tool.db_ops]\nschema_file = "{name}"\n')
        assert "[tool.db_ops] schema_file" in named.run("upgrade").failed(2).error


def test_write_without_a_named_file_says_how_to_name_one(named: Project, door: str) -> None:
    os.truncate(named.root / "pyproject.toml", 0)
    outcome = named.run("check-models", "--write", door=door).failed(2)
    assert 'schema_file = "schema.sql"' in outcome.hint


def test_two_heads_are_two_lines_for_a_merge_to_conflict_in(named: Project) -> None:
    named.revision("0004")
    named.revision("0005", down_revision="0003")
    named.revision("0006", down_revision=("0004", "0005"))
    named.revision("0007", label="other", down_revision=None)
    named.run("check-models", "--write")
    assert "-- revision: 0006\n-- revision: 0007\n" in schema_file(named).read_text()
