"""The command lines that are compared."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A command line, run in the project's folder for tools of this *kind*.

    Its first word is a program of `Tools`; `{url}` in another is the database's URL.
    """

    name: str
    kind: str
    words: tuple[str, ...]
    driver: str = ""
    ours: bool = False


def _ours(*words: str) -> Command:
    return Command(" ".join(words), "db_ops", words, ours=True)


def _of_alembic(kind: str, *words: str) -> Command:
    return Command(" ".join(words), kind, words, driver="+psycopg2")


INIT = _ours("inv", "db.init")
INIT_SCRIPT = _ours("python", "scripts/manage_db.py", "init")
INIT_PROGRAM = _ours("db-ops", "init")
RECREATE = _ours("inv", "db.recreate")
RECREATE_PROGRAM = _ours("db-ops", "recreate")
CREATE = _ours("db-ops", "create-migration", "-m", "note")
VERIFY_PROGRAM = _ours("db-ops", "verify")
REPLAY = _ours("inv", "db.recreate", "--from-migrations")
VERIFY = _ours("inv", "db.verify")
VERIFY_QUICK = _ours("inv", "db.verify", "--quick")
RECORD = _ours("inv", "db.history", "--record")
INV_LIST = Command("inv --list", "db_ops", ("inv", "--list"))
# The least that a program in Python does to ask a database.
CONNECT = Command(
    "python -c 'psycopg2.connect ...'",
    "db_ops",
    (
        "python",
        "-c",
        "import psycopg2; psycopg2.connect('{url}').cursor().execute('SELECT 1')",
    ),
)
# Invoke, and the libraries for settings and server: what every command starts with.
INV_BARE = Command("inv -c bare --list", "db_ops", ("inv", "-c", "bare", "--list"))

ALEMBIC = _of_alembic("stock", "alembic", "upgrade", "head")
COMPOSE = _of_alembic("stock", "alembic", "upgrade", "head", "--sql")
AUTOGENERATE = _of_alembic("stock", "alembic", "revision", "--autogenerate", "-m", "note")
ALEMBIC_CHECK = _of_alembic("stock", "alembic", "check")
FLASK = _of_alembic("flask", "flask", "db", "upgrade")
DJANGO = Command("manage.py migrate", "django", ("django", "manage.py", "migrate"))
DBMATE = Command("dbmate up", "dbmate", ("dbmate", "--url", "{url}", "--no-dump-schema", "up"))
PSQL = Command("psql -f", "sql", ("psql", "-Xq", "-vON_ERROR_STOP=1", "-fupgrade.sql", "{url}"))

NEIGHBOURS = (FLASK, DJANGO, DBMATE)
# What somebody may use instead of a command of ours: parts of its work, and floors, are none.
RIVALS = frozenset(
    command.name for command in (ALEMBIC, ALEMBIC_CHECK, AUTOGENERATE, PSQL, *NEIGHBOURS)
)
