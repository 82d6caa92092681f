"""`dump` and `load`: a database and its data in a file, and back."""

from __future__ import annotations

import gzip
import json
import os
import signal
import stat
import time
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

import db_ops
from db_ops.errors import ClientMissing, DumpUnreadable
from db_ops.postgres.embedded import programs
from tests.conftest import with_user
from tests.support.cluster import PASSWORD
from tests.support.command import Command
from tests.support.doors import command_line
from tests.support.project import Project, query
from tests.support.schemas import validated
from tests.support.terminal import terminal

FAILED, MISUSED, REFUSED, INTERRUPTED = 1, 2, 4, 130
DATA = """
    CREATE SEQUENCE "It's a sequence" START 41;
    SELECT nextval('"It''s a sequence"');
    CREATE TYPE mood AS ENUM ('sad', 'ok');
    CREATE TABLE "Odd name" (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text, raw bytea, mood mood,
        part numrange, stored int GENERATED ALWAYS AS (length(text)) STORED
    );
    INSERT INTO "Odd name" (text, raw, mood, part)
    SELECT E'tab\\t line\\n \\\\. \\\\N ' || n, sha256(n::text::bytea), 'ok', '[1,2)'
    FROM generate_series(1, 100) n;
    SELECT lo_from_bytea(4711, 'a large object');
"""
CONTENT = """
    SELECT count(*)::text, md5(string_agg(t::text, '|' ORDER BY id)) FROM "Odd name" t
    UNION ALL SELECT last_value::text, is_called::text FROM "It's a sequence"
    UNION ALL SELECT last_value::text, is_called::text FROM "Odd name_id_seq"
    UNION ALL SELECT 'object', encode(lo_get(4711), 'escape')
    UNION ALL SELECT 'version', string_agg(version_num, ',') FROM alembic_version
"""


@pytest.fixture
def filled(migrated: Project) -> Project:
    """A migrated project with rows, sequences, odd names and a large object."""
    migrated.query(DATA)
    return migrated


RUNS = """
    SELECT 1 FROM pg_stat_activity
    WHERE state = 'active' AND query LIKE %s AND query NOT LIKE '%%pg_stat%%'
"""


def wait_until_it_runs(project: Project, pattern: str, running: Command) -> None:
    """Wait until a client program of a running command is at a statement."""
    while not project.query(RUNS, pattern):
        assert running.process.poll() is None, running.outcome().err


def assert_nothing_is_left_of_building(project: Project) -> None:
    """Wait until all that is there now is gone: other tests use the server too, and clear up."""
    ours = "SELECT datname FROM pg_database WHERE datname ~ '^db_ops_(scratch|old)_'"
    left = set(project.query(ours))
    deadline = time.monotonic() + 120
    while left:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
        left &= set(project.query(ours))


@pytest.mark.parametrize("suffix", [".dump", ".sql", ".sql.gz"])
def test_what_was_dumped_comes_back(filled: Project, suffix: str) -> None:
    name = f"kept here{suffix}"
    content, schema = filled.query(CONTENT), filled.schema()
    outcome = filled.run("dump", name).succeeded()
    assert f"written to {name} at 0003" in outcome.out
    file = filled.root / name
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in filled.root.glob("kept*")] == [name]
    filled.query('DROP TABLE one, "Odd name"; SELECT lo_unlink(4711)')
    filled.query('DROP SEQUENCE "It\'s a sequence"; CREATE TABLE stray (id int)')
    outcome = filled.run("load", name).succeeded()
    assert f"loaded from {name}" in outcome.out
    assert "5 tables, at 0003" in outcome.out
    assert filled.query(CONTENT) == content
    assert filled.schema() == schema
    assert "marked development" in filled.run("status").succeeded().out
    assert_nothing_is_left_of_building(filled)


def test_each_door_dumps_and_loads(migrated: Project, door: str) -> None:
    migrated.query("INSERT INTO one VALUES (1)")
    migrated.run("dump", "app.dump", door=door).succeeded()
    migrated.query("DELETE FROM one")
    migrated.run("load", "app.dump", door=door).succeeded()
    assert migrated.query("SELECT id FROM one") == [(1,)]


def test_a_database_that_is_gone_is_made_again(migrated: Project) -> None:
    dumped = validated("dump.json", migrated.run("dump", "app.dump", "--json").out)
    assert (dumped["heads"], dumped["file"]) == (["0003"], "app.dump")
    assert dumped["bytes"] == (migrated.root / "app.dump").stat().st_size
    migrated.run("delete-db").succeeded()
    loaded = validated("load.json", migrated.run("load", "app.dump", "--json").out)
    assert (loaded["existed"], loaded["heads"], loaded["tables"]) == (False, ["0003"], 4)


def test_what_a_dump_is_at_is_said_with_the_next_command(migrated: Project) -> None:
    migrated.run("dump", "app.dump").succeeded()
    path = migrated.table("0004", "four")
    assert "pending: 1; to apply them: " in migrated.run("load", "app.dump").succeeded().out
    migrated.run("upgrade").succeeded()
    migrated.run("dump", "newer.dump").succeeded()
    path.unlink()
    outcome = migrated.run("load", "newer.dump").succeeded()
    assert "at 0004, ahead of this checkout by 1 revision (0004)" in outcome.out
    migrated.query("DROP SCHEMA db_ops CASCADE")
    migrated.run("dump", "newer.dump").succeeded()
    outcome = migrated.run("load", "newer.dump").succeeded()
    assert "unknown: 0004, which this checkout does not have" in outcome.out
    migrated.query("DROP TABLE alembic_version")
    migrated.run("dump", "app.sql").succeeded()
    outcome = migrated.run("load", "app.sql").succeeded()
    assert "no revision is recorded in it" in outcome.out
    assert outcome.out.rstrip().endswith("stamp --find")


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])


def _emptied(file: Path) -> None:
    file.write_bytes(b"")


def _failing(file: Path) -> None:
    text, end = file.read_bytes(), b"-- PostgreSQL database dump complete"
    file.write_bytes(text.replace(end, b"SELECT 1/0;\n" + end))


def _escaping(file: Path) -> None:
    """Connect to the database that is to be replaced, and run a program."""
    lines = b"\\! touch escaped\n\\connect postgres\nSET statement_timeout"
    file.write_bytes(file.read_bytes().replace(b"SET statement_timeout", lines, 1))


@pytest.mark.parametrize(
    ("name", "breaking", "said"),
    [
        ("app.dump", _cut, "app.dump was not loaded: "),
        ("app.dump", _emptied, "it is no archive of pg_dump's custom format"),
        ("app.sql", _cut, "it is not whole"),
        ("app.sql", _emptied, "it is not whole"),
        ("app.sql.gz", _cut, "it cannot be unpacked"),
        ("app.sql", _failing, "division by zero"),
        ("app.sql", _escaping, "backslash commands are restricted"),
    ],
)
def test_a_broken_file_loses_nothing(
    filled: Project, name: str, breaking: object, said: str
) -> None:
    filled.query("INSERT INTO one SELECT generate_series(1, 5000)")
    filled.run("dump", name).succeeded()
    breaking(filled.root / name)  # type: ignore[operator]  # one of the functions above
    content = filled.query(CONTENT)
    outcome = filled.run("load", name).failed(FAILED)
    assert said in outcome.error
    assert "left as it was" in outcome.err
    assert filled.query(CONTENT) == content
    assert_nothing_is_left_of_building(filled)
    assert not (filled.root / "escaped").exists()


def test_a_half_file_is_never_left(migrated: Project) -> None:
    file = migrated.root / "app.dump"
    file.write_text("the one before")
    migrated.env["DB_OPS_LOCK_TIMEOUT"] = "0.2"
    with closing(psycopg2.connect(migrated.url)) as holder:
        holder.cursor().execute("LOCK TABLE one")
        outcome = migrated.run("dump", "app.dump").failed(FAILED)
        assert "app.dump was not written: " in outcome.error
        assert "DB_OPS_LOCK_TIMEOUT" in outcome.hint
        migrated.env["DB_OPS_LOCK_TIMEOUT"] = "60"
        with Command(migrated, "dump", "app.dump") as running:
            wait_until_it_runs(migrated, "LOCK TABLE%", running)
            running.send(signal.SIGINT)
            assert running.outcome().code == INTERRUPTED
    assert file.read_text() == "the one before"
    assert [one.name for one in migrated.root.glob("app*")] == ["app.dump"]
    assert migrated.query(RUNS, "LOCK TABLE%") == []


def test_a_terminal_shows_the_table_and_control_c_leaves_the_database(filled: Project) -> None:
    filled.run("dump", "app.sql").succeeded()
    file = filled.root / "app.sql"
    end = b"-- PostgreSQL database dump complete"
    file.write_bytes(file.read_bytes().replace(end, b"SELECT pg_sleep(60);\n" + end))
    content = filled.query(CONTENT)
    argv = command_line("manage_db", ("load", "app.sql"), filled.root)
    with terminal(argv, cwd=filled.root, env=filled.env) as screen:
        screen.wait_for("loading for ")
        assert "table 6: public.two, 0.0 MB" in screen.text
        # The terminal sends it to all of its foreground process group, psql among them.
        os.killpg(screen.process.pid, signal.SIGINT)
        screen.wait_for("left as it was")
        assert screen.end() == INTERRUPTED
    assert filled.query(CONTENT) == content
    assert_nothing_is_left_of_building(filled)


def test_progress_names_each_table(migrated: Project) -> None:
    migrated.env["DB_OPS_LOG"] = "json"
    lines = migrated.run("dump", "app.sql").succeeded().err.splitlines()
    lines += migrated.run("load", "app.sql").succeeded().err.splitlines()
    told = [one for one in map(json.loads, lines) if one["event"] == "TableCopied"]
    dumped = {one["table"]: one["total"] for one in told if not one["loading"]}
    assert dumped["public.two"] == 4
    assert "public.two" in {one["table"] for one in told if one["loading"]}
    assert all(one["bytes"] >= 0 for one in told)
    migrated.run("dump", "app.dump").succeeded()
    lines = migrated.run("load", "app.dump").succeeded().err.splitlines()
    told = [one for one in map(json.loads, lines) if one["event"] == "TableCopied"]
    # pg_restore does not tell how far it has read.
    assert {one["bytes"] for one in told} == {None}


def test_no_argument_holds_the_password(
    migrated: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program of that name notes how it was called, and passes it on."""
    (major,) = migrated.query("SELECT current_setting('server_version_num')::int / 10000")[0]
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("pg_dump", "pg_restore"):
        real = programs.find_client(name, int(str(major)), alike=True)
        script = f'#!/bin/sh\necho "$@" >> {folder}/called\nexec {real} "$@"\n'
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    migrated.env["PATH"] = f"{folder}:{os.environ['PATH']}"
    migrated.run("dump", "app.dump").succeeded()
    migrated.run("load", "app.dump").succeeded()
    called = (folder / "called").read_text()
    assert "dbname=" in called
    assert "password" not in called
    assert PASSWORD not in called


def test_load_is_guarded(migrated: Project, database_name: str) -> None:
    migrated.query("INSERT INTO one VALUES (1)")
    migrated.run("dump", "app.dump").succeeded()
    migrated.env["DB_OPS_ENVIRONMENT"] = "production"
    outcome = migrated.run("load", "app.dump").failed(REFUSED)
    assert f"load app.dump --confirm {database_name}" in outcome.hint
    migrated.run("dump", "again.dump").succeeded()
    migrated.run("load", "app.dump", "--confirm", database_name).succeeded()
    assert "marked production" in migrated.run("status").succeeded().out
    assert migrated.query("SELECT id FROM one") == [(1,)]


def test_owners_and_privileges_come_back_with_grants(migrated: Project, role: str) -> None:
    migrated.query(f"GRANT SELECT ON one TO {role}; ALTER TABLE two OWNER TO {role}")
    question = f"SELECT has_table_privilege('{role}', 'one', 'SELECT'), tableowner = '{role}'"
    question += " FROM pg_tables WHERE tablename = 'two'"
    for name in ("app.dump", "app.sql"):
        options = ("--grants",) if name == "app.sql" else ()
        migrated.run("dump", name, *options).succeeded()
        if name == "app.dump":
            migrated.run("load", name).succeeded()
            assert migrated.query(question) == [(False, False)]
        migrated.run("load", name, "--grants").succeeded()
        assert migrated.query(question) == [(True, True)]
    migrated.query(f"DROP OWNED BY {role} CASCADE")


def test_a_role_that_may_not_read_is_told_what_it_lacks(migrated: Project, role: str) -> None:
    migrated.query(f"GRANT SELECT ON alembic_version TO {role}")
    migrated.url, owner = with_user(migrated.url, role, "role_secret"), migrated.url
    outcome = migrated.run("dump", "app.dump").failed(FAILED)
    assert "permission denied for table" in outcome.error
    assert "GRANT SELECT" in outcome.hint
    assert not list(migrated.root.glob("app*"))
    migrated.url = owner
    migrated.query(f"DROP OWNED BY {role}")


def test_without_pg_dump_it_is_said_what_to_install(
    migrated: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setenv("DATABASE_URL", migrated.url)
    monkeypatch.setattr(programs, "WHEEL", "no_such_package")
    monkeypatch.setattr(programs, "USUAL_PLACES", ())
    with pytest.raises(ClientMissing) as raised:
        db_ops.dump(db_ops.load(migrated.root / "alembic.ini"), str(migrated.root / "app.dump"))
    assert "pg_dump was not found" in raised.value.message


def test_the_program_of_the_server_s_version_is_preferred(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for major in (14, 16, 17, 19):
        folder = tmp_path / str(major) / "bin"
        folder.mkdir(parents=True)
        (folder / "pg_dump").write_text(f"#!/bin/sh\necho 'pg_dump (PostgreSQL) {major}.1'\n")
        (folder / "pg_dump").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "19" / "bin"))
    monkeypatch.setattr(programs, "WHEEL", "no_such_package")
    monkeypatch.setattr(programs, "USUAL_PLACES", (str(tmp_path / "*" / "bin"),))
    for wanted, found in ((17, 17), (15, 16), (18, 19), (20, 19)):
        chosen = programs.find_client("pg_dump", wanted, alike=True)
        assert chosen == str(tmp_path / str(found) / "bin" / "pg_dump")
    # A psql of a newer version will do.
    assert "/19/" in str(programs.find_client("pg_dump", 17))


def test_what_is_misused_names_the_command(migrated: Project) -> None:
    outcome = migrated.run("dump", "app.txt").failed(MISUSED)
    assert "ends with none of .dump, .sql, .sql.gz" in outcome.error
    assert "dump app.dump" in outcome.hint
    assert "there is no file none.sql" in migrated.run("load", "none.sql").failed(MISUSED).error
    outcome = migrated.run("dump", "no such folder/app.dump").failed(FAILED)
    assert "No such file or directory" in outcome.error
    migrated.env["DATABASE_URL"] += "_missing"
    assert "does not exist" in migrated.run("dump", "app.dump").failed(FAILED).error


def test_a_script_of_another_line_ending_and_an_old_pg_dump_is_loaded(migrated: Project) -> None:
    """Without the lines that only a newer psql knows."""
    migrated.query("INSERT INTO one VALUES (1)")
    migrated.run("dump", "app.sql.gz").succeeded()
    text = gzip.decompress((migrated.root / "app.sql.gz").read_bytes())
    lines = [one for one in text.splitlines() if not one.startswith((b"\\restrict", b"\\unrest"))]
    (migrated.root / "app.sql").write_bytes(b"\r\n".join((*lines, b"")))
    query(migrated.url, "DELETE FROM one")
    migrated.run("load", "app.sql").succeeded()
    assert migrated.query("SELECT id FROM one") == [(1,)]


def test_a_setting_that_the_server_does_not_know_is_left_out(migrated: Project) -> None:
    """As a newer pg_dump writes one; what only looks like one stays."""
    body = "BEGIN\nUPDATE one\nSET id = 2;\nEND"
    migrated.query(f"CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ {body} $$")
    migrated.run("dump", "app.sql").succeeded()
    file, first = migrated.root / "app.sql", b"SET statement_timeout"
    text = file.read_bytes()
    file.write_bytes(text.replace(first, b"SET of_a_newer_version = 0;\n" + first, 1))
    migrated.run("load", "app.sql").succeeded()
    assert migrated.query("SELECT prosrc FROM pg_proc WHERE proname = 'f'") == [(f" {body} ",)]


def test_an_archive_is_loaded_by_a_pg_restore_of_another_version(
    filled: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.run("dump", "app.dump").succeeded()
    content = filled.query(CONTENT)
    (major,) = filled.query("SELECT current_setting('server_version_num')::int / 10000")[0]
    folder = tmp_path / "programs"
    folder.mkdir()
    for name, version in (("pg_restore", "99"), ("psql", major)):
        real = programs.find_client(name, int(str(major)), alike=True)
        said = f'[ "$1" = --version ] && echo "{name} (PostgreSQL) {version}.1" && exit'
        (folder / name).write_text(f'#!/bin/sh\n{said}\nexec {real} "$@"\n')
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
    monkeypatch.setenv("DATABASE_URL", filled.url)
    monkeypatch.setattr(programs, "WHEEL", "no_such_package")
    monkeypatch.setattr(programs, "USUAL_PLACES", ())
    file = filled.root / "app.dump"
    loaded = db_ops.load_dump(db_ops.load(filled.root / "alembic.ini"), str(file))
    assert loaded.program == str(folder / "psql")
    assert filled.query(CONTENT) == content
    _cut(file)
    with pytest.raises(DumpUnreadable):
        db_ops.load_dump(db_ops.load(filled.root / "alembic.ini"), str(file))
    assert filled.query(CONTENT) == content
