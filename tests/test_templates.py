"""Templates and spares: the same schema as the migrations build, by a shorter way."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tests.conftest import drop, with_user
from tests.support.command import Command
from tests.support.doors import Outcome
from tests.support.project import Project, query

OLD = 1_600_000_000
HELPER = "NAME = 'helped'\n"
USES_HELPER = """
import sys
from pathlib import Path
sys.path.insert(0, str(Path(__file__).parents[2]))
from library.names import NAME
op.execute(f'CREATE TABLE {NAME} (id integer)')
"""
READS_SQL = """
from pathlib import Path
for path in sorted((Path(__file__).parents[1] / "sql").glob("*.sql")):
    op.execute(path.read_text())
"""


@pytest.fixture
def kept(project: Project, server_url: str) -> Iterator[Project]:
    """A project with two revisions, whose databases of ours are dropped after the test."""
    project.table("0001", "one")
    project.revision("0002", "op.execute('CREATE TABLE two AS SELECT 1 AS number')")
    yield project
    for name, comment in own(server_url):
        if project.env["DATABASE_URL"].rpartition("/")[2] in str(comment):
            drop(server_url, str(name))


def own(server_url: str, kind: str = "") -> list[tuple[object, ...]]:
    return query(
        server_url,
        "SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database"
        " WHERE datname LIKE %s",
        f"db_ops_{kind}%",
    )


def origin(outcome: Outcome) -> str:
    said: dict[str, Any] = json.loads(outcome.succeeded().out)
    return str(said["origin"]["source"])


def recreate(project: Project, *arguments: str) -> str:
    return origin(project.run("recreate", "--json", *arguments))


@contextmanager
def eventually(condition: Callable[[], object]) -> Iterator[None]:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.05)
    yield


def test_recreate_copies_what_init_has_built(kept: Project, door: str) -> None:
    assert "kept as a template" in kept.run("init", door=door).succeeded().out
    before = kept.schema(), kept.query("SELECT * FROM two")
    kept.query("DROP TABLE two")
    outcome = kept.run("recreate", door=door).succeeded()
    assert "dropped, created from a template in" in outcome.out
    assert "apply" not in outcome.err
    assert (kept.schema(), kept.query("SELECT * FROM two")) == before
    assert "nothing to do" in kept.run("upgrade", door=door).succeeded().out
    assert not kept.run("verify").out.count("revision")


def test_init_of_a_missing_database_copies_the_template(kept: Project) -> None:
    kept.prepare("init")
    kept.prepare("delete_db")
    assert origin(kept.run("init", "--json")) == "template"
    assert kept.tables == ["alembic_version", "one", "two"]


def test_a_copy_is_marked_and_may_be_recreated(kept: Project) -> None:
    kept.prepare("init")
    recreate(kept)
    assert json.loads(kept.run("status", "--json").out)["mark"] == "development"
    assert recreate(kept) == "template"


def test_from_migrations_runs_them(kept: Project) -> None:
    kept.prepare("init")
    assert recreate(kept, "--from-migrations") == "migrations"
    kept.prepare("delete_db")
    assert origin(kept.run("init", "--from-migrations", "--json")) == "migrations"


@pytest.mark.parametrize("input_", ["revision", "env.py", "alembic.ini", "models"])
def test_a_changed_input_means_a_new_template(kept: Project, input_: str) -> None:
    recreate(kept)
    paths = {
        "revision": kept.revision_files[0],
        "env.py": kept.root / "alembic" / "env.py",
        "alembic.ini": kept.root / "alembic.ini",
        "models": kept.root / "models.py",
    }
    with paths[input_].open("a") as file:
        file.write("\n# changed\n")
    assert recreate(kept) == "migrations"
    assert recreate(kept) == "template"


@pytest.fixture
def settled(kept: Project) -> Project:
    """The project's template, made of revision files that were written long ago."""
    for path in kept.revision_files:
        os.utime(path, (OLD, OLD))
    assert recreate(kept) == "migrations"
    return kept


def replace(path: Path, text: str, by: str, modified: int = OLD) -> None:
    path.write_text(path.read_text().replace(text, by))
    os.utime(path, (modified, modified))


def test_unchanged_revision_files_are_not_read_again_for_a_copy(settled: Project) -> None:
    # The same name, size and time: all that is known of a file without reading it.
    replace(settled.revision_files[0], "TABLE one", "TABLE two")
    assert recreate(settled) == "template"


def test_an_edit_of_an_old_revision_file_means_a_new_template(settled: Project) -> None:
    replace(settled.revision_files[0], "TABLE one", "TABLE won", OLD + 1)
    assert recreate(settled) == "migrations"
    assert "won" in settled.tables


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"[1, 2, 3, 4]", b"{}", b"1"])
def test_what_is_kept_of_revision_files_may_be_damaged(settled: Project, content: bytes) -> None:
    (kept,) = (settled.root / "cache" / "db_ops").glob("contents-*")
    whole = kept.read_bytes()
    kept.write_bytes(content)
    assert recreate(settled) == "template"
    assert kept.read_bytes() == whole


def test_a_revision_file_that_was_just_written_is_read_again(kept: Project) -> None:
    path = kept.revision_files[0]
    # Just now, however long a command takes.
    modified = time.time_ns() + 600 * 10**9
    os.utime(path, ns=(modified, modified))
    recreate(kept)
    path.write_text(path.read_text().replace("TABLE one", "TABLE won"))
    os.utime(path, ns=(modified, modified))
    assert recreate(kept) == "migrations"


def test_a_module_that_a_revision_imports_is_an_input(kept: Project) -> None:
    library = kept.root / "library"
    library.mkdir()
    (library / "__init__.py").touch()
    (library / "names.py").write_text(HELPER)
    kept.revision("0003", USES_HELPER)
    assert recreate(kept) == "migrations"
    assert recreate(kept) == "template"
    (library / "names.py").write_text("NAME = 'renamed'\n")
    assert recreate(kept) == "migrations"
    assert "renamed" in kept.tables


def test_a_file_that_a_revision_reads_is_an_input(kept: Project) -> None:
    folder = kept.root / "alembic" / "sql"
    folder.mkdir()
    (folder / "1.sql").write_text("CREATE TABLE first (id integer)")
    kept.revision("0003", READS_SQL)
    assert recreate(kept) == "migrations"
    assert recreate(kept) == "template"
    (folder / "1.sql").write_text("CREATE TABLE other (id integer)")
    assert recreate(kept) == "migrations"
    assert "other" in kept.tables
    (folder / "2.sql").write_text("CREATE TABLE second (id integer)")
    assert recreate(kept) == "migrations"
    assert "second" in kept.tables


def test_going_back_to_an_earlier_state_finds_its_template(kept: Project) -> None:
    recreate(kept)
    path = kept.table("0003", "three")
    assert recreate(kept) == "migrations"
    path.unlink()
    assert recreate(kept) == "template"
    assert "three" not in kept.tables


def test_a_revision_that_only_speaks_of_its_database_is_copied(kept: Project) -> None:
    kept.revision("0003", '# depends on database type\nop.execute("SELECT current_database()")')
    assert recreate(kept) == "migrations"
    assert recreate(kept) == "template"


@pytest.mark.parametrize(
    ("statement", "question", "answer"),
    [
        ("ALTER DATABASE {name} SET work_mem = 65536", "SHOW work_mem", "64MB"),
        ("CREATE TABLE d AS SELECT current_database() AS n", "SELECT n FROM d", "{name}"),
        (
            "DO $$ BEGIN EXECUTE 'CREATE VIEW d AS SELECT ' || quote_literal(current_database())"
            " || '::text AS n'; END $$",
            "SELECT n FROM d",
            "{name}",
        ),
    ],
)
def test_a_revision_for_which_the_name_of_its_database_matters_is_never_copied(
    kept: Project, database_name: str, statement: str, question: str, answer: str
) -> None:
    kept.revision("0003", f"op.execute({statement.format(name=database_name)!r})")
    assert "template" not in kept.run("init").succeeded().out
    assert kept.query(question) == [(answer.format(name=database_name),)]
    assert recreate(kept) == "migrations"
    assert kept.query(question) == [(answer.format(name=database_name),)]


def test_a_build_that_makes_a_role_is_not_kept(kept: Project, server_url: str) -> None:
    role = f"r_{uuid.uuid4().hex[:12]}"
    kept.revision(
        "0003",
        f"""
        op.execute(
            "DO $$ BEGIN IF to_regrole('{role}') IS NULL THEN CREATE ROLE {role}; END IF; END $$"
        )
        """,
    )
    assert "template" not in kept.run("init").succeeded().out
    assert query(server_url, "SELECT 1 FROM pg_roles WHERE rolname = %s", role)
    query(server_url, f"DROP ROLE {role}")


def test_settings_that_a_revision_gives_its_database_are_kept(
    kept: Project, server_url: str
) -> None:
    kept.revision(
        "0003",
        """
        name = op.get_bind().exec_driver_sql("SELECT current_" "catalog").scalar()
        op.execute("ALTER " f'DATABASE "{name}" SET statement_timeout = 12345')
        """,
    )
    assert recreate(kept) == "migrations"
    assert recreate(kept) == "migrations"
    assert kept.query("SHOW statement_timeout") == [("12345ms",)]


def test_production_runs_its_migrations(kept: Project, database_name: str) -> None:
    kept.env["DB_OPS_ENVIRONMENT"] = "production"
    assert recreate(kept, "--confirm", database_name) == "migrations"
    assert recreate(kept, "--confirm", database_name) == "migrations"
    assert "template" not in kept.run("recreate", "--confirm", database_name).out


def test_a_failing_recreate_leaves_the_database_as_it_was(kept: Project) -> None:
    kept.prepare("init")
    before = kept.fingerprint()
    kept.revision("0003", "op.execute('SELECT 1/0')")
    outcome = kept.run("recreate").failed(1)
    assert "0003 failed: division by zero; the database is as it was" in outcome.error
    assert kept.fingerprint() == before


def test_a_failing_init_leaves_what_it_built_so_far(kept: Project) -> None:
    kept.revision("0003", "op.execute('SELECT 1/0')")
    outcome = kept.run("init").failed(1)
    assert "2 of 3 applied (0001, 0002), database at 0002" in outcome.error
    kept.revision_files[-1].write_text(kept.revision_files[-1].read_text().replace("1/0", "1"))
    assert "1 revision applied" in kept.run("init").succeeded().out


def test_an_interrupted_recreate_leaves_the_database_as_it_was(kept: Project) -> None:
    kept.prepare("init")
    before = kept.fingerprint()
    kept.revision("0003", "op.execute('SELECT pg_sleep(60)')")
    with Command(kept, "recreate") as command:
        command.wait_until_it_runs("pg_sleep")
        command.send(signal.SIGTERM)
        err = command.outcome(40).failed(143).err
    assert "the database is as it was" in err
    assert kept.fingerprint() == before


def test_a_build_that_was_killed_leaves_nothing_under_the_database_s_name(
    kept: Project, server_url: str, database_name: str
) -> None:
    path = kept.revision("0003", "op.execute('SELECT pg_sleep(60)')")
    with Command(kept, "init") as command:
        left = command.wait_until_it_runs("pg_sleep")
        command.kill()
    path.write_text(path.read_text().replace("pg_sleep(60)", "1"))
    assert not query(server_url, "SELECT 1 FROM pg_database WHERE datname = %s", database_name)
    kept.run("init").succeeded()
    assert kept.tables == ["alembic_version", "one", "two"]
    assert left.startswith("db_ops_scratch_")
    assert not query(server_url, "SELECT 1 FROM pg_database WHERE datname = %s", left)


def test_recreate_replaces_a_database_that_a_pool_keeps_connecting_to(kept: Project) -> None:
    kept.prepare("init")
    stop, ended = threading.Event(), 0

    def reconnect() -> None:
        nonlocal ended
        while not stop.is_set():
            try:
                with closing(psycopg2.connect(kept.url)) as session, session.cursor() as cursor:
                    while not stop.is_set():
                        cursor.execute("SELECT pg_sleep(0.001)")
            except psycopg2.OperationalError:
                ended += 1

    pool = [threading.Thread(target=reconnect) for _ in range(4)]
    for thread in pool:
        thread.start()
    try:
        assert [recreate(kept) for _ in range(3)] == ["template"] * 3
    finally:
        stop.set()
        for thread in pool:
            thread.join()
    assert ended >= 3
    assert kept.tables == ["alembic_version", "one", "two"]


def test_init_never_replaces_a_database_that_somebody_creates_meanwhile(
    kept: Project, database_name: str, server_url: str
) -> None:
    kept.revision(
        "0003",
        f"""
        import psycopg2
        from contextlib import closing

        for url, statement in (
            ({server_url!r}, "CREATE DATABASE {database_name}"),
            ({kept.url!r}, "CREATE TABLE precious ()"),
        ):
            with closing(psycopg2.connect(url)) as connection:
                connection.autocommit = True
                connection.cursor().execute(statement)
        """,
    )
    outcome = kept.run("init").failed(1)
    assert "holds tables but no recorded revision: public.precious" in outcome.error
    assert kept.tables == ["precious"]


def test_nobody_can_connect_to_a_template(kept: Project, server_url: str) -> None:
    kept.prepare("init")
    (name,) = [
        str(name)
        for name, comment in own(server_url, "template")
        if kept.env["DATABASE_URL"].rpartition("/")[2] in str(comment)
    ]
    with pytest.raises(psycopg2.OperationalError, match="not currently accepting connections"):
        psycopg2.connect(kept.url.rpartition("/")[0] + f"/{name}")


def test_a_template_of_another_role_is_not_touched(
    kept: Project, server_url: str, role: str
) -> None:
    kept.prepare("init")
    query(server_url, f"ALTER ROLE {role} CREATEDB")
    own_url = kept.url
    kept.prepare("delete_db")
    kept.url = with_user(kept.url, role, "role_secret")
    assert origin(kept.run("init", "--json")) == "migrations"
    assert recreate(kept) == "template"
    kept.url = own_url


def test_the_spare_is_renamed_and_made_again(kept: Project, server_url: str) -> None:
    kept.env["DB_OPS_SPARE"] = "1"
    kept.run("init").succeeded()

    def spare() -> list[tuple[object, ...]]:
        service = kept.env["DATABASE_URL"].rpartition("/")[2]
        return [one for one in own(server_url, "spare") if service in str(one[1])]

    with eventually(spare):
        assert "created from a spare in" in kept.run("recreate").succeeded().out
    with eventually(spare):
        assert kept.tables == ["alembic_version", "one", "two"]
    with eventually(lambda: not own(server_url, "old")):
        assert len(spare()) == 1


def test_a_spare_of_other_migrations_is_not_used(kept: Project, server_url: str) -> None:
    kept.env["DB_OPS_SPARE"] = "1"
    kept.run("init").succeeded()
    service = kept.env["DATABASE_URL"].rpartition("/")[2]
    with eventually(lambda: [one for one in own(server_url, "spare") if service in str(one[1])]):
        kept.table("0003", "three")
    assert recreate(kept) == "migrations"
    assert "three" in kept.tables


@pytest.mark.parametrize("variable", [{"DB_OPS_SPARE": "0"}, {"DB_OPS_SPARE": "1", "CI": "true"}])
def test_there_is_no_spare_where_none_is_wanted(
    kept: Project, server_url: str, variable: dict[str, str]
) -> None:
    kept.env |= variable
    kept.run("init", "recreate").succeeded()
    service = kept.env["DATABASE_URL"].rpartition("/")[2]
    assert not [one for one in own(server_url, "spare") if service in str(one[1])]
    assert not own(server_url, "old")


def test_cache_lists_and_clears(kept: Project, server_url: str, door: str) -> None:
    kept.prepare("init")
    said = json.loads(kept.run("cache", "--json", door=door).succeeded().out)
    service = kept.env["DATABASE_URL"].rpartition("/")[2]
    (mine,) = [one for one in said["databases"] if one["service"] == service]
    assert (mine["kind"], mine["heads"]) == ("template", ["0002"])
    assert mine["bytes"] > 1_000_000
    assert f"template of {service} at 0002" in kept.run("cache", door=door).succeeded().out
