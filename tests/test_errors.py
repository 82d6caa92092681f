"""Everything a user can do wrong: one error line, one hint line, the exit code, no password.

That no password is printed is checked by `Project.run` for every command of every test.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from db_ops.errors import StatementFailed
from db_ops.postgres.connection.server import Server
from db_ops.settings import DatabaseUrl, Settings
from tests.conftest import with_database, with_user
from tests.support.cluster import free_port
from tests.support.project import Project, query

FAILED, MISUSED, TRY_AGAIN = 1, 2, 5


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "empty"),
        ("not a url", "cannot parse"),
        ("mysql://u:hunter2@h/app", "mysql:// is not PostgreSQL"),
        ("postgresql://u:hunter2%zz@h/app", "cannot parse"),
        ("postgresql://u:hun@ter2@h/app", "percent-encoded"),
        ("postgresql://u:12/hunter2@h/app", "percent-encoded"),
        ("postgresql://u@h:port/app", "port"),
        ("postgresql://u:hun?ter2@h/app", "a ? of user or password is not percent-encoded"),
    ],
)
def test_an_unparsable_url(project: Project, door: str, url: str, said: str) -> None:
    project.url = url
    outcome = project.run("init", door=door).failed(MISUSED)
    assert said in outcome.error
    assert "ter2" not in outcome.err


@pytest.mark.parametrize("url", ["postgresql://u:p@h:1", "postgresql://u:p@h:1/", "host=h user=u"])
def test_a_url_without_a_database_name(project: Project, url: str) -> None:
    project.url = url
    assert "names no database" in project.run("init").failed(MISUSED).error


@pytest.mark.parametrize("name", ["template0", "template1"])
def test_a_template_database_as_target(project: Project, server_url: str, name: str) -> None:
    project.url = with_database(server_url, name)
    assert name in project.run("init").failed(MISUSED).error


def test_a_database_name_over_63_bytes(project: Project, server_url: str) -> None:
    project.url = with_database(server_url, "ü" * 32)
    assert "64 bytes" in project.run("init").failed(MISUSED).error


@pytest.mark.parametrize(
    "command", ["init", "recreate", "delete-db", "upgrade", "status", "verify"]
)
def test_no_server(project: Project, command: str) -> None:
    project.url = f"postgresql://u:hunter2@127.0.0.1:{free_port()}/app"
    project.env["DB_OPS_WAIT_TIMEOUT"] = "0.2"
    outcome = project.run(command).failed(TRY_AGAIN)
    assert "no server answers" in outcome.error
    assert "DB_OPS_WAIT_TIMEOUT" in outcome.hint


@pytest.mark.parametrize(
    "command", ["init", "recreate", "delete-db", "upgrade", "status", "verify"]
)
def test_a_wrong_password(project: Project, role: str, command: str) -> None:
    project.url = with_user(project.url, role, "hunter2")
    outcome = project.run(command).failed(FAILED)
    assert role in outcome.error
    assert "hunter2" not in outcome.err


def test_a_role_without_createdb(project: Project, role: str) -> None:
    project.url = with_user(project.url, role, "role_secret")
    outcome = project.run("init").failed(FAILED)
    assert f"role {role!r} may not create databases" in outcome.error
    assert f"ALTER ROLE {role} CREATEDB" in outcome.hint


def test_no_rights_on_public(
    project: Project, server_url: str, database_name: str, role: str
) -> None:
    query(server_url, f"CREATE DATABASE {database_name}")
    query(project.url, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    project.table("0001", "one")
    project.url = with_user(project.url, role, "role_secret")
    outcome = project.run("init").failed(FAILED)
    assert "create tables in schema public" in outcome.error
    assert f"GRANT USAGE, CREATE ON SCHEMA public TO {role}" in outcome.hint


def test_an_extension_that_is_not_available(project: Project) -> None:
    project.revision("0001", "op.execute('CREATE EXTENSION no_such_extension')")
    outcome = project.run("init").failed(FAILED)
    assert "no_such_extension" in outcome.error
    assert "install the extension" in outcome.hint


def test_no_alembic_ini(tmp_path: Path, project: Project) -> None:
    project.run("status", cwd=tmp_path).failed(MISUSED)
    project.env["DB_OPS_ALEMBIC_INI"] = "elsewhere.ini"
    assert "elsewhere.ini" in project.run("status").failed(MISUSED).error


@pytest.mark.parametrize(
    "text",
    [
        "no section\n",
        "[other]\n",
        "[alembic]\n",
        "[alembic]\nscript_location = nowhere\n",
        "[alembic]\nscript_location = %(missing)s/alembic\n",
        "[alembic\n",
        "\xff\xfe\x00",
    ],
)
def test_a_broken_alembic_ini(project: Project, text: str, door: str) -> None:
    (project.root / "alembic.ini").write_bytes(text.encode("latin-1"))
    assert "alembic.ini" in project.run("init", door=door).failed(MISUSED).error


@pytest.mark.parametrize("arguments", [(), ("-m", ""), ("-m", "  \n "), ("-m", "a\x07bell")])
def test_a_missing_or_empty_message(
    migrated: Project, arguments: tuple[str, ...], door: str
) -> None:
    migrated.run("create-migration", *arguments, door=door).failed(MISUSED)
    assert len(migrated.revision_files) == 3


@pytest.mark.parametrize("command", ["init", "recreate", "upgrade", "create-migration"])
def test_several_heads(migrated: Project, command: str) -> None:
    migrated.revision("0004", down_revision="0003")
    migrated.revision("0005", down_revision="0003")
    arguments = ("-m", "x") if command == "create-migration" else ()
    outcome = migrated.run(command, *arguments).failed(MISUSED)
    assert "0004, 0005" in outcome.error
    assert "alembic merge" in outcome.hint


@pytest.mark.parametrize("command", ["init", "upgrade", "downgrade"])
def test_a_database_at_a_revision_that_the_checkout_lacks(migrated: Project, command: str) -> None:
    migrated.revision_files[-1].unlink()
    migrated.query("DROP SCHEMA db_ops CASCADE")
    before = migrated.fingerprint()
    assert "0003" in migrated.run(command).failed(FAILED).error
    assert migrated.fingerprint() == before


@pytest.mark.parametrize(
    "source", ["import no_such_module", "def broken(:", "raise ValueError('at import')"]
)
@pytest.mark.parametrize("command", ["init", "upgrade", "recreate"])
def test_a_revision_file_that_does_not_import(migrated: Project, command: str, source: str) -> None:
    path = migrated.revision("0004")
    path.write_text(f"revision = '0004'\ndown_revision = '0003'\n{source}\n")
    outcome = migrated.run(command).failed(FAILED)
    assert "0004.py" in outcome.error
    assert "0004.py:3: " in outcome.error
    assert migrated.query("SELECT version_num FROM alembic_version") == [("0003",)]


def test_init_creates_no_database_when_a_revision_file_does_not_import(
    project: Project, server_url: str, database_name: str
) -> None:
    project.revision("0001").write_text("revision = '0001'\ndown_revision = None\nimport nowhere\n")
    project.run("init").failed(FAILED)
    assert not query(server_url, "SELECT 1 FROM pg_database WHERE datname = %s", database_name)


def test_a_migration_that_fails_in_the_middle_names_what_was_applied(
    project: Project, door: str
) -> None:
    project.table("0001", "one")
    project.table("0002", "two")
    project.revision("0003", "op.execute('CREATE TABLE three (id int)')\nop.execute('SELECT 1/0')")
    project.table("0004", "four")
    outcome = project.run("init", door=door).failed(FAILED)
    assert "upgrade of 0003 failed: division by zero" in outcome.error
    assert "2 of 4 applied (0001, 0002), database at 0002" in outcome.error
    assert "0003.py" in outcome.hint
    assert project.tables == ["alembic_version", "one", "two"]


def test_a_failed_migration_goes_on_where_it_stopped_once_it_is_corrected(project: Project) -> None:
    project.table("0001", "one")
    path = project.revision("0002", "op.execute('SELECT 1/0')")
    project.run("init").failed(FAILED)
    path.write_text(path.read_text().replace("1/0", "1"))
    assert "1 revision applied" in project.run("upgrade").succeeded().out


def test_a_python_error_in_a_migration_is_no_traceback(project: Project) -> None:
    project.revision("0001", "raise KeyError('missing')")
    outcome = project.run("init").failed(FAILED)
    assert "KeyError" in outcome.error
    project.env["DB_OPS_DEBUG"] = "1"
    assert "Traceback" in project.run("init").err


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO no_such",
        "ALTER ROLE no_such SET search_path = public",
    ],
)
def test_a_role_that_the_server_lacks_is_to_be_created_there(
    project: Project, statement: str
) -> None:
    # Also in a first revision that creates no table: no bootstrap could help.
    project.revision("0001", f"op.execute('{statement}')")
    outcome = project.run("init").failed(FAILED)
    assert 'role "no_such" does not exist' in outcome.error
    assert "create that role on the server: CREATE ROLE no_such; then: " in outcome.hint


@pytest.mark.parametrize("refusal", ["NotImplementedError", "RuntimeError('irreversible')"])
def test_a_revision_without_a_downgrade(project: Project, refusal: str) -> None:
    project.revision("0001", downgrade=f"raise {refusal}")
    project.run("init").succeeded()
    outcome = project.run("downgrade").failed(FAILED)
    assert "downgrade of 0001" in outcome.error
    assert "write downgrade()" in outcome.hint


@pytest.mark.parametrize("command", ["verify", "create-migration", "recreate"])
def test_models_that_do_not_import(migrated: Project, command: str) -> None:
    (migrated.root / "models.py").write_text("import no_such_module\n")
    arguments = ("-m", "x") if command == "create-migration" else ()
    outcome = migrated.run(command, *arguments).failed(FAILED)
    assert outcome.error.startswith("models.py:1: ")
    assert "no_such_module" in outcome.error


@pytest.mark.parametrize("command", ["verify", "create-migration"])
def test_empty_metadata(migrated: Project, command: str) -> None:
    arguments = ("-m", "x") if command == "create-migration" else ()
    outcome = migrated.run(command, *arguments).failed(FAILED)
    assert "metadata of the models is empty" in outcome.error
    assert len(migrated.revision_files) == 3


@pytest.mark.parametrize("command", ["init", "upgrade"])
def test_tables_present_without_a_version_row(migrated: Project, command: str) -> None:
    migrated.query("DELETE FROM alembic_version")
    before = migrated.fingerprint()
    outcome = migrated.run(command).failed(FAILED)
    assert "public.one" in outcome.error
    assert " stamp -r 0003" in outcome.hint
    assert migrated.fingerprint() == before


def test_a_missing_parent_revision(migrated: Project) -> None:
    migrated.revision_files[0].unlink()
    assert "0001" in migrated.run("init").failed(MISUSED).error


def test_two_files_with_one_revision(migrated: Project) -> None:
    path = migrated.revision_files[0]
    path.with_name("copy.py").write_text(path.read_text())
    assert "copy.py" in migrated.run("init").failed(MISUSED).error


def test_revisions_in_a_cycle(project: Project) -> None:
    project.revision("0001", down_revision="0002")
    project.revision("0002", down_revision="0001")
    assert "cycle" in project.run("init").failed(MISUSED).error


@pytest.mark.parametrize("steps", ["0", "-1", "x", "", "1.5"])
def test_steps_that_are_no_number_above_zero(migrated: Project, steps: str, door: str) -> None:
    before = migrated.fingerprint()
    migrated.run("downgrade", "-s", steps, door=door).failed(MISUSED)
    assert migrated.fingerprint() == before


def test_more_steps_than_are_applied(migrated: Project, door: str) -> None:
    before = migrated.fingerprint()
    outcome = migrated.run("downgrade", "-s", "4", door=door).failed(FAILED)
    assert "only 3 applied" in outcome.error
    assert migrated.fingerprint() == before


@pytest.mark.parametrize("command", ["upgrade", "downgrade"])
def test_a_missing_database(project: Project, command: str) -> None:
    outcome = project.run(command).failed(FAILED)
    assert "does not exist" in outcome.error
    assert outcome.hint.endswith("init")


def test_a_revision_that_is_not_there(migrated: Project) -> None:
    outcome = migrated.run("upgrade", "-r", "nope").failed(MISUSED)
    assert "'nope'" in outcome.error


def test_production_without_a_database_url(project: Project) -> None:
    del project.env["DATABASE_URL"]
    project.env["DB_OPS_ENVIRONMENT"] = "production"
    assert "DATABASE_URL is not set" in project.run("init").failed(MISUSED).error


@pytest.mark.parametrize("command", ["start", "stop"])
def test_the_embedded_server_s_commands_with_a_server_of_somebody_else_s(
    project: Project, command: str
) -> None:
    outcome = project.run(command).failed(MISUSED)
    assert (urlsplit(project.url).hostname or "") in outcome.error


def test_no_other_database_to_work_from(migrated: Project) -> None:
    migrated.env["DB_OPS_MAINTENANCE_DATABASE"] = "no_such_database"
    outcome = migrated.run("delete-db").failed(FAILED)
    assert "tried no_such_database" in outcome.error
    assert "DB_OPS_MAINTENANCE_DATABASE" in outcome.hint


def test_what_the_server_says_in_detail_of_our_own_statement_is_kept(migrated: Project) -> None:
    url = DatabaseUrl.parse(migrated.url)
    server = Server(url, Settings(migrated.root / "alembic.ini", url), "test")
    with (
        pytest.raises(StatementFailed) as raised,
        server.target() as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("INSERT INTO one VALUES (1), (1)")
    assert raised.value.notes == ("DETAIL: Key (id)=(1) already exists.",)
