"""The line that moves: what a command does that takes more than half a second, and for how long."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
import pytest

from db_ops.settings import DatabaseUrl
from tests.support.doors import command_line
from tests.support.migrations import THREE_TABLES, write_models
from tests.support.project import Project
from tests.support.terminal import Terminal, terminal

# As long as the line takes to come, and once more.
SLOW = 'op.execute("SELECT pg_sleep(1.4)")'


@contextmanager
def shown(
    project: Project, *arguments: str, door: str = "manage_db", **env: str
) -> Iterator[Terminal]:
    argv = command_line(door, arguments, project.root)
    env = {**project.env, **env}
    with terminal(argv, cwd=project.root, env=env, columns=110) as screen:
        yield screen


@pytest.fixture
def slow(migrated: Project) -> Project:
    """A project at its third revision, whose fourth one takes its time, and whose models differ."""
    migrated.revision("0004", SLOW)
    migrated.revision("0005")
    write_models(migrated, THREE_TABLES)
    return migrated


def test_verify_shows_how_far_the_migrations_are(slow: Project, door: str) -> None:
    with shown(slow, "db.verify" if door == "inv" else "verify", door=door) as screen:
        screen.wait_for("building the schema of the migrations for ")
        screen.wait_for(" s, 4 of 5 [============        ]")
        assert screen.end() == 3
        # Nothing of it is left.
        assert " for " not in screen.text
        assert screen.lines[-1].startswith(("compared: ", "alembic check", "note: "))


def test_create_migration_shows_what_it_tries(migrated: Project) -> None:
    write_models(migrated, THREE_TABLES)
    make_slow(migrated, "ALTER TABLE one")
    with shown(migrated, "create-migration", "-m", "add name") as screen:
        screen.wait_for("      trying the revision: ")
        screen.end()
        assert "trying" not in screen.text


def make_slow(project: Project, statement: str) -> None:
    """Let each statement that begins like *statement* wait, in env.py."""
    env_py = project.root / "alembic" / "env.py"
    env_py.write_text(
        env_py.read_text().replace(
            "from db_ops import run_migrations\n",
            "import time\nimport sqlalchemy as sa\nfrom db_ops import run_migrations\n\n"
            "@sa.event.listens_for(sa.engine.Engine, 'before_cursor_execute')\n"
            "def wait(connection, cursor, statement, *rest):\n"
            f"    if statement.startswith('{statement}'):\n"
            "        time.sleep(0.9)\n",
        )
    )


def test_what_says_nothing_of_itself_is_shown_by_its_name(migrated: Project) -> None:
    parameters = DatabaseUrl.parse(migrated.url).parameters
    with closing(psycopg2.connect(**parameters)) as holder:
        holder.cursor().execute("LOCK TABLE alembic_version")
        with shown(migrated, "status") as screen:
            screen.wait_for("      status running for 1 s")
            holder.rollback()
            assert screen.end() == 0
            assert "running for" not in screen.text


def test_what_is_quick_shows_nothing(migrated: Project) -> None:
    started = time.monotonic()
    with shown(migrated, "url") as screen:
        assert screen.end() == 0
        is_quick = time.monotonic() - started < 0.5
        assert not is_quick or b"running for" not in screen.written


def test_a_shell_has_the_terminal_to_itself(migrated: Project) -> None:
    with shown(migrated, "shell", "-c", "SELECT pg_sleep(1.2)") as screen:
        assert screen.end() == 0
        assert b"running for" not in screen.written


@pytest.mark.parametrize(
    ("options", "env"), [((), {"CI": "true"}), (("--quiet",), {}), ((), {"DB_OPS_LOG": "json"})]
)
def test_no_phase_is_told_where_nobody_watches(
    slow: Project, options: tuple[str, ...], env: dict[str, str]
) -> None:
    with shown(slow, "verify", *options, **env) as screen:
        assert screen.end() == 3
        assert b"building" not in screen.written


def test_a_pipe_is_told_of_no_phase(slow: Project) -> None:
    outcome = slow.run("verify")
    assert outcome.code == 3
    assert not re.search(r"building|reading|\r|\x1b", outcome.err)


def test_a_question_stands_still(migrated: Project) -> None:
    write_models(migrated, THREE_TABLES.replace("name: Mapped", "label: Mapped"))
    migrated.revision("0004", "op.execute('ALTER TABLE one ADD COLUMN name varchar')")
    with shown(migrated, "create-migration", "-m", "rename") as screen:
        screen.wait_for("[y/n]", timeout=120)
        question = bytes(screen.written)
        screen.read(1.2)
        assert bytes(screen.written) == question
        screen.answer("y")
        assert screen.end() == 0
        assert "rename" in screen.text
