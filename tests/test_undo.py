"""`undo`: what a command has replaced, dropped or reverted comes back, with its data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest

import db_ops
from db_ops.settings import DatabaseUrl
from tests.conftest import drop, with_database, with_user
from tests.support.project import Project, query

FAILED, REFUSED = 1, 4
CONTENT = "SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM one AS t"
KEPT = """
    SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database
    WHERE datname LIKE 'db\\_ops\\_undo%%' AND shobj_description(oid, 'pg_database') LIKE %s
"""


def kept(project: Project) -> list[str]:
    """Return the names of the databases that are kept of the project's."""
    server = with_database(project.url, "postgres")
    service = json.dumps(DatabaseUrl.parse(project.url).database)
    return [str(name) for name, _ in query(server, KEPT, f'%"service": {service}%')]


@pytest.fixture
def filled(migrated: Project, server_url: str) -> Iterator[Project]:
    """A migrated project with rows, which keeps what its commands replace."""
    del migrated.env["DB_OPS_UNDO"]
    migrated.query("INSERT INTO one SELECT generate_series(1, 100)")
    url = migrated.url
    yield migrated
    migrated.url = with_database(server_url, DatabaseUrl.parse(url).database)
    for name in kept(migrated):
        drop(server_url, name)


def replace_by(project: Project, command: str) -> None:
    """Run *command* once the database has something to lose by it."""
    if command == "restore":
        project.env["DB_OPS_UNDO"] = "0"
        project.query("DELETE FROM one WHERE id > 50")
        project.run("snapshot", "half").succeeded()
        project.query("INSERT INTO one SELECT generate_series(51, 100)")
        del project.env["DB_OPS_UNDO"]
    elif command == "load":
        project.run("dump", "app.dump").succeeded()
        project.query("INSERT INTO one VALUES (101)")


COMMANDS = {
    "delete-db": ("delete-db",),
    "recreate": ("recreate",),
    "restore": ("restore", "half"),
    "load": ("load", "app.dump"),
    "downgrade": ("downgrade", "-s", "base"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_undo_brings_back_the_rows_and_once_more_what_replaced_them(
    filled: Project, command: str, door: str
) -> None:
    replace_by(filled, command)
    filled.query("ALTER TABLE two ADD COLUMN by_hand text")
    before, schema = filled.query(CONTENT), filled.schema()
    said = filled.run(*COMMANDS[command], door=door).succeeded().out
    typed = "inv db.undo" if door == "inv" else "manage_db.py undo"
    assert said.count("undo: ") == 1
    assert f"{typed} (what was there is kept until 20" in said
    after = None if command == "delete-db" else filled.schema()
    outcome = filled.run("undo", door=door).succeeded()
    assert f"as it was before {command}, just now" in outcome.out
    assert "now at 0003" in outcome.out
    assert (filled.query(CONTENT), filled.schema()) == (before, schema)
    assert "marked development" in filled.run("status").succeeded().out
    if after is None:
        assert "undo: " not in outcome.out
        assert "nothing to undo" in filled.run("undo").failed(FAILED).error
        return
    assert typed in outcome.out
    assert "before undo" in filled.run("undo").succeeded().out
    assert filled.schema() == after
    assert filled.run("undo").succeeded()
    assert (filled.query(CONTENT), filled.schema()) == (before, schema)
    assert len(kept(filled)) == 1


def test_one_is_kept_and_shown_by_list_cache_and_doctor(filled: Project) -> None:
    assert "nothing is kept" in filled.run("undo", "--list").succeeded().out
    filled.run("recreate").succeeded()
    filled.query("INSERT INTO two VALUES (1)")
    filled.run("downgrade").succeeded()
    (name,) = kept(filled)
    listed = filled.run("undo", "--list").succeeded().out
    assert "before downgrade  just now" in listed
    assert "MB" in listed
    assert "0003" in listed
    (one,) = json.loads(filled.run("undo", "--list", "--json").out)["kept"]
    assert (one["command"], one["heads"]) == ("downgrade", ["0003"])
    assert one["until"] > one["kept"]
    assert f"{name}: undo of" in filled.run("cache").succeeded().out
    assert "before downgrade" in filled.run("doctor").out
    assert f"dropped {name}" in filled.run("cache", "--clear").succeeded().out
    error = filled.run("undo").failed(FAILED).error
    assert "the database is there" in error
    assert filled.tables == ["alembic_version", "one", "two"]


def test_what_belongs_to_the_database_comes_back_with_it(
    filled: Project, server_url: str, database_name: str
) -> None:
    query(server_url, f"ALTER DATABASE {database_name} SET work_mem = '5MB'")
    query(server_url, f"ALTER DATABASE {database_name} CONNECTION LIMIT 7")
    query(server_url, f"GRANT CREATE ON DATABASE {database_name} TO PUBLIC")
    comment = "Ours.\ndb_ops environment: development"
    query(server_url, f"COMMENT ON DATABASE {database_name} IS '{comment}'")
    known = (
        "SELECT d.oid, datdba, datacl::text, datconnlimit, setconfig,"
        " shobj_description(d.oid, 'pg_database')"
        " FROM pg_database d JOIN pg_db_role_setting ON setdatabase = d.oid WHERE datname = %s"
    )
    before = query(server_url, known, database_name)
    said = filled.run("downgrade").succeeded().out
    assert "nothing is kept: a copy would lack the grants and settings" in said
    filled.run("upgrade").succeeded()
    filled.run("delete-db").succeeded()
    filled.run("init").succeeded()
    filled.run("undo").succeeded()
    assert query(server_url, known, database_name) == before


def test_who_is_connected_stops_a_copy_and_no_rename(filled: Project) -> None:
    with closing(psycopg2.connect(filled.url)) as other:
        said = filled.run("downgrade").succeeded().out
        assert "undo: nothing is kept: others are connected" in said
        other.cursor().execute("SELECT count(*) FROM one")
    with closing(psycopg2.connect(filled.url)):
        filled.run("delete-db").succeeded()
    with closing(psycopg2.connect(with_database(filled.url, kept(filled)[0]))):
        filled.run("undo").succeeded()
    assert filled.query("SELECT count(*) FROM one") == [(100,)]


def test_a_bound_of_megabytes_is_kept(filled: Project) -> None:
    filled.env["DB_OPS_UNDO_LIMIT_MB"] = "20"
    said = filled.run("downgrade").succeeded().out
    assert "no more than 1, a 20th of undo_limit_mb, are copied" in said
    filled.env["DB_OPS_UNDO_LIMIT_MB"] = "1"
    outcome = json.loads(filled.run("recreate", "--json").succeeded().out)
    assert "no more than 1, undo_limit_mb, are kept" in outcome["undo"]["reason"]
    assert outcome["undo"]["until"] is None
    filled.env["DB_OPS_UNDO_LIMIT_MB"] = "0"
    assert "undo:" not in filled.run("delete-db").succeeded().out
    assert kept(filled) == []


@pytest.mark.parametrize("env", [{"CI": "true"}, {"DB_OPS_ENVIRONMENT": "staging"}])
def test_nothing_is_kept_in_ci_or_where_data_is_protected(
    filled: Project, server_url: str, database_name: str, env: dict[str, str]
) -> None:
    confirm = ("--confirm", database_name)
    filled.run("recreate").succeeded()
    (earlier,) = kept(filled)
    filled.env |= env
    for command in (("downgrade", *confirm), ("recreate", *confirm), ("delete-db", *confirm)):
        outcome = json.loads(filled.run(*command, "--json").succeeded().out)
        assert outcome["undo"] is None
    assert not query(server_url, "SELECT 1 FROM pg_database WHERE datname = %s", database_name)
    refused = filled.run("undo", *confirm).failed(REFUSED)
    assert ("CI is set" if "CI" in env else "staging") in refused.error
    assert refused.hint.endswith("snapshots")
    assert set(kept(filled)) <= {earlier}


def test_a_database_with_another_mark_is_neither_kept_nor_replaced(
    filled: Project, server_url: str, database_name: str
) -> None:
    filled.run("recreate").succeeded()
    mark = "COMMENT ON DATABASE {} IS 'db_ops environment: production'"
    query(server_url, mark.format(database_name))
    for confirm in ((), ("--confirm", database_name)):
        error = filled.run("undo", *confirm).failed(REFUSED).error
        assert "production" in error
    (earlier,) = kept(filled)
    outcome = filled.run("delete-db", "--confirm", database_name, "--json").succeeded()
    assert json.loads(outcome.out)["undo"] is None
    assert kept(filled) == [earlier]


def test_a_setting_of_the_project_turns_it_off(filled: Project) -> None:
    settings = filled.root / "pyproject.toml"
    settings.write_text("[tool.db_ops]\nundo = false\n")
    assert "undo" not in filled.run("delete-db").succeeded().out
    assert kept(filled) == []
    settings.write_text("[tool.db_ops]\nundo_limit_mb = -1\n")
    assert "not a whole number from 0" in filled.run("undo", "--list").failed(2).error


def test_what_is_older_than_a_day_goes_with_the_next_command(
    filled: Project, server_url: str
) -> None:
    filled.run("recreate").succeeded()
    (name,) = kept(filled)
    service = DatabaseUrl.parse(filled.url).database
    facts = {"service": service, "command": "recreate", "built": 1.0}
    query(server_url, f"COMMENT ON DATABASE {name} IS %s", json.dumps(facts))
    query(server_url, f"DROP DATABASE {service}")
    filled.run("init").succeeded()
    filled.env["DB_OPS_UNDO"] = "0"
    filled.run("delete-db").succeeded()
    assert kept(filled) == []


def test_a_role_that_cannot_rename_drops_as_before(
    filled: Project, server_url: str, database_name: str, role: str
) -> None:
    query(server_url, f"ALTER DATABASE {database_name} OWNER TO {role}")
    filled.url = with_user(filled.url, role, "role_secret")
    said = filled.run("delete-db").succeeded().out
    assert "dropped" in said
    assert f"nothing is kept: that takes CREATEDB, which {role!r} lacks" in said
    assert not query(server_url, "SELECT 1 FROM pg_database WHERE datname = %s", database_name)


def test_what_was_replaced_of_another_role_is_dropped_in_its_time(
    filled: Project, server_url: str, database_name: str, role: str
) -> None:
    query(server_url, f"ALTER DATABASE {database_name} OWNER TO {role}")
    filled.run("recreate").succeeded()
    (first,) = kept(filled)
    filled.run("undo").succeeded()
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s"
    assert query(server_url, owner, database_name) == [(role,)]
    filled.env["DB_OPS_UNDO"] = "0"
    filled.run("recreate").succeeded()
    replaced = "SELECT datname FROM pg_database WHERE pg_get_userbyid(datdba) = %s"
    assert query(server_url, replaced, role) == []
    assert first not in kept(filled)


@pytest.mark.parametrize("command", ["delete-db", "recreate"])
def test_a_template_or_a_database_with_slots_is_not_kept(
    filled: Project, server_url: str, database_name: str, command: str
) -> None:
    slot = f"slot_{database_name}"
    if query(server_url, "SHOW wal_level") == [("logical",)]:
        filled.query("SELECT pg_create_logical_replication_slot(%s, 'test_decoding')", slot)
        said = filled.run(command).succeeded().out
        assert "nothing is kept: the database has replication slots" in said
    else:
        query(server_url, f"ALTER DATABASE {database_name} IS_TEMPLATE true")
        filled.run(command).failed(FAILED)
        query(server_url, f"ALTER DATABASE {database_name} IS_TEMPLATE false")


def test_a_revision_that_fails_leaves_the_way_back(filled: Project) -> None:
    path = filled.revision_files[1]
    path.write_text(path.read_text().replace("DROP TABLE two", "DROP TABLE no_such"))
    outcome = filled.run("downgrade", "-s", "2")
    assert outcome.code == FAILED
    assert "what was there before is kept; to bring it back: " in outcome.err
    assert "three" not in filled.tables
    filled.run("undo").succeeded()
    assert "three" in filled.tables


def test_a_refused_downgrade_copies_nothing(filled: Project) -> None:
    filled.run("downgrade", "-s", "9").failed(FAILED)
    filled.env["DB_OPS_ENVIRONMENT"] = "test"
    filled.run("downgrade").failed(REFUSED)
    assert kept(filled) == []


def test_a_rebuild_under_its_own_name_is_kept_too(filled: Project) -> None:
    filled.revision("0004", "op.execute('CREATE TABLE named AS SELECT current_database() AS n')")
    filled.run("upgrade").succeeded()
    before = filled.query(CONTENT)
    assert "undo: " in filled.run("recreate").succeeded().out
    filled.run("undo").succeeded()
    assert filled.query(CONTENT) == before
    assert "no snapshots" in filled.run("snapshots").succeeded().out


def test_broken_revision_files_do_not_keep_the_data_away(filled: Project) -> None:
    filled.run("recreate").succeeded()
    filled.revision_files[0].write_text("not Python")
    assert "as it was before recreate" in filled.run("undo").succeeded().out
    assert filled.query("SELECT count(*) FROM one") == [(100,)]


@pytest.mark.parametrize("name", ['My-DB"x ünï', "n" * 63])
def test_any_name_of_a_database_will_do(filled: Project, server_url: str, name: str) -> None:
    name = name.replace("n" * 60, DatabaseUrl.parse(filled.url).database.ljust(60, "n"))
    filled.url = with_database(server_url, name)
    try:
        filled.run("init").succeeded()
        filled.query("INSERT INTO one VALUES (7)")
        filled.run("delete-db").succeeded()
        filled.run("undo").succeeded()
        assert filled.query("SELECT id FROM one") == [(7,)]
    finally:
        drop(server_url, name)


def test_functions_keep_nothing_unless_their_settings_say_so(filled: Project) -> None:
    assert isinstance(filled.prepare("delete_db"), object)
    assert kept(filled) == []
    settings = db_ops.Settings(
        filled.root / "alembic.ini", DatabaseUrl.parse(filled.url), undo=True
    )
    db_ops.init(settings)
    assert db_ops.delete_db(settings).undo is not None
    assert db_ops.undo(settings).brought_back.command == "delete-db"
    assert db_ops.undo_list(settings).kept == ()
