"""The declaration of every command and its options."""

from __future__ import annotations

from db_ops.cli import adapters
from db_ops.cli.declaration import Command, Kind, Option

DATABASE = "Create and delete the database"
MIGRATIONS = "Write, apply and revert migrations"
CHECKS = "See where things stand"
SNAPSHOTS = "Keep the data and bring it back"
SERVER = "Server and cache"
PROJECT = "Begin a project"

_CONFIRM = Option(
    "confirm",
    "Repeat the exact name of the database, to allow this where its data is protected.",
    "c",
    Kind.VALUE,
    "DATABASE",
)
_FROM_MIGRATIONS = Option(
    "from-migrations", "Run every migration, even where a template database could be copied.", "f"
)
_BRANCH = Option(
    "branch",
    "The branch to work on, if the migrations have several: its label, or any of its revisions.",
    "b",
    Kind.VALUE,
    "BRANCH",
)
_PLAN = Option(
    "plan",
    "Change nothing; show each statement that would run, and what it locks and rewrites, as"
    " measured in a scratch database.",
    "p",
)

COMMANDS = (
    Command(
        "init",
        DATABASE,
        "Create the database if it is missing and apply every migration.",
        "It can be run any number of times, and by many processes at once: a database that is up"
        " to date is left as it is.",
        (_FROM_MIGRATIONS,),
        shows="status",
    ),
    Command(
        "recreate",
        DATABASE,
        "Delete the database with its data, create it again and apply every migration.",
        "The old database is replaced once the new one is complete.",
        (_CONFIRM, _FROM_MIGRATIONS),
        shows="status",
    ),
    Command(
        "delete-db",
        DATABASE,
        "Delete the database with its data, even while programs are connected to it.",
        "A database that does not exist is a success.",
        (_CONFIRM,),
        shows="status",
    ),
    Command(
        "create-migration",
        MIGRATIONS,
        "Write one migration file from what changed in the models, and prove that it works.",
        "The models are compared with what the migrations build, in scratch databases. If nothing"
        " changed, no file is written.",
        (
            Option("message", "What changes, in a few words.", "m", Kind.VALUE, "MESSAGE"),
            Option(
                "rename",
                "Something was renamed: TABLE.OLD_COLUMN:NEW_COLUMN, or OLD_TABLE:NEW_TABLE. Can"
                " be given several times.",
                "r",
                Kind.LIST,
                "OLD:NEW",
            ),
            Option(
                "no-rename",
                "Nothing else was renamed: what is gone is dropped, what is new is added.",
                "n",
            ),
            Option(
                "irreversible",
                "Write a downgrade that refuses to run, for a change that cannot be undone.",
                "i",
            ),
            Option(
                "rebase",
                "Write no new file; put this revision, which is applied nowhere yet, on top of the"
                " other head.",
                "e",
                Kind.VALUE,
                "REVISION",
            ),
            _BRANCH,
        ),
        shows="check-models",
        body=adapters.create_migration,
    ),
    Command(
        "upgrade",
        MIGRATIONS,
        "Apply the migrations that are pending, all of them or up to a revision.",
        "Each migration commits on its own, so that a failure leaves those before it applied.",
        (
            Option(
                "revision",
                "Where to stop: a revision, LABEL@head, or +N for the next N (default: head).",
                "r",
                Kind.VALUE,
                "REVISION",
            ),
            _PLAN,
            Option("sql", "Change nothing; print the SQL that would run, for psql.", "s"),
        ),
        shows="upgrade --plan",
        looks_with=("plan", "sql"),
        body=adapters.upgrade,
    ),
    Command(
        "downgrade",
        MIGRATIONS,
        "Revert the migrations that were applied last.",
        "What they are is said before they are reverted.",
        (
            Option("steps", "How many migrations to revert (default: 1).", "s", Kind.VALUE, "N"),
            _BRANCH,
            _CONFIRM,
            _PLAN,
        ),
        shows="downgrade --plan",
        looks_with=("plan",),
        body=adapters.downgrade,
    ),
    Command(
        "status",
        CHECKS,
        "Show where the database stands, which migrations are pending and what to run next.",
        options=(
            Option("check", "Exit with 3 unless every migration is applied and no other.", "c"),
        ),
    ),
    Command(
        "verify",
        CHECKS,
        "Check that models, migrations and database agree, and name every difference.",
        "Exits with 3 if there is one. Nothing is written to the database.",
        (
            Option("grants", "Compare owners and privileges too.", "g"),
            Option(
                "accept",
                "Write the differences into a file beside env.py, and accept them from now on.",
                "a",
            ),
            Option(
                "quick",
                "Only check whether the database is as it was when its last migration was applied.",
            ),
        ),
        shows="verify",
        writes_with=("accept",),
    ),
    Command(
        "check-models",
        CHECKS,
        "Check that models and migrations agree, in a database made for it.",
        "The service's own database is not needed. Exits with 3 if there is a difference.",
        body=adapters.check_models,
    ),
    Command(
        "history",
        CHECKS,
        "List every migration: whether it is applied, when, by whom, and how long it took.",
        options=(
            Option(
                "record",
                "First record the database and the migration files as they are now.",
                "r",
            ),
        ),
        shows="history",
        writes_with=("record",),
    ),
    Command(
        "doctor",
        CHECKS,
        "Check settings, project and server, and say what to do about each problem.",
        "Exits with 3 if there is one. Nothing is changed.",
    ),
    Command(
        "diagram",
        CHECKS,
        "Draw the tables, or the migrations and what each follows, as Mermaid.",
        options=(
            Option(
                "output",
                "Write it to this file, .mmd or .md (default: print it).",
                "o",
                Kind.VALUE,
                "FILE",
            ),
            Option("revisions", "Draw the migrations instead of the tables.", "r"),
            Option("check", "Write nothing; exit with 3 if the file is not up to date.", "c"),
        ),
        shows="diagram",
        writes_with=("output",),
        looks_with=("check",),
    ),
    Command(
        "snapshot",
        SNAPSHOTS,
        "Keep a copy of the database with its data, under a name.",
        "The programs that are connected to the database are disconnected for it.",
        (Option("name", "What to call it.", kind=Kind.POSITIONAL, metavar="NAME"), _CONFIRM),
        shows="snapshots",
    ),
    Command(
        "restore",
        SNAPSHOTS,
        "Bring the database back to what it was when the snapshot was taken.",
        "What was written since then is lost.",
        (
            Option("name", "Which snapshot to restore.", kind=Kind.POSITIONAL, metavar="NAME"),
            _CONFIRM,
        ),
        shows="snapshots",
    ),
    Command(
        "snapshots",
        SNAPSHOTS,
        "List the snapshots of the database, with age, size and revision.",
        options=(Option("drop", "Delete the snapshot of this name.", "d", Kind.VALUE, "NAME"),),
        shows="snapshots",
        writes_with=("drop",),
        body=adapters.snapshots,
    ),
    Command(
        "start",
        SERVER,
        "Start the project's own PostgreSQL server.",
        "It is created first if there is none. Commands that need it start it, too.",
        shows="doctor",
    ),
    Command(
        "stop", SERVER, "Stop the project's own PostgreSQL server; its data stays.", shows="doctor"
    ),
    Command(
        "url",
        SERVER,
        "Print the URL of the database, for psql and the application.",
        options=(Option("with-password", "Print the password in it too.", "w"),),
    ),
    Command(
        "cache",
        SERVER,
        "List the databases that are kept to make `init` and `recreate` quick.",
        options=(Option("clear", "Delete those of this database; they are made again.", "c"),),
        shows="cache",
        writes_with=("clear",),
    ),
    Command(
        "new",
        PROJECT,
        "Write the files that Alembic needs, for models that exist; no file is overwritten.",
        options=(
            Option(
                "models",
                "Where the models are, as Python imports them.",
                "m",
                Kind.VALUE,
                "MODULE:BASE",
            ),
        ),
        shows="doctor",
        body=adapters.new,
    ),
)
BY_NAME = {command.name: command for command in COMMANDS}
