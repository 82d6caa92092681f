"""The declaration of every command and its options."""

from __future__ import annotations

from db_ops.cli import adapters
from db_ops.cli.data_commands import CONFIRM, DATA_COMMANDS
from db_ops.cli.declaration import Command, Kind, Option
from db_ops.cli.fleet_commands import FLEET_COMMANDS
from db_ops.cli.server_commands import SERVER_COMMANDS

DATABASE = "Create and delete the database"
MIGRATIONS = "Write, apply and revert migrations"
CHECKS = "Show and check the state"

_FROM_MIGRATIONS = Option(
    "from-migrations", "Run every migration, even where a template database could be copied.", "f"
)
_NO_SEED = Option("no-seed", "Leave a database that is created without the project's seeds.")
_BRANCH = Option(
    "branch",
    "The branch to work on, if the migrations have several: its label or any of its revisions.",
    "b",
    Kind.VALUE,
    "BRANCH",
)
_PLAN = Option(
    "plan",
    "Change nothing; show each statement that would run, with the locks that it takes and the"
    " tables that it scans or rewrites, as measured in a scratch database.",
    "p",
)


def _against(what: str) -> Option:
    text = f"{what} whether the models of this release, a git tag or commit, survive what is new."
    return Option("against", text, None, Kind.VALUE, "REF")


COMMANDS = (
    Command(
        "init",
        DATABASE,
        "Create the database if it is missing and apply every pending migration.",
        "It can be run any number of times, and by many processes at once: a database that is up"
        " to date is left as it is. In development, one that it creates gets the project's seeds.",
        (_FROM_MIGRATIONS, _NO_SEED),
        shows="status",
    ),
    Command(
        "recreate",
        DATABASE,
        "Delete the database with its data, create it again and apply every migration.",
        "The old database is replaced once the new one is complete.",
        (CONFIRM, _FROM_MIGRATIONS, _NO_SEED),
        shows="status",
    ),
    Command(
        "seed",
        DATABASE,
        "Write rows to work with, by the functions and SQL files that the project names.",
        "All of them run in one transaction, in a database that is up to date.",
        (CONFIRM,),
        shows="status",
    ),
    Command(
        "delete-db",
        DATABASE,
        "Delete the database with its data, even while programs are connected to it.",
        "It is no error if the database does not exist.",
        (CONFIRM,),
        shows="status",
    ),
    Command(
        "create-migration",
        MIGRATIONS,
        "Write one migration file from the changes of the models, and test it.",
        "The models are compared with the schema that the migrations build, and the new file is"
        " applied, reverted and applied again, all in scratch databases. If nothing changed, no"
        " file is written.",
        (
            Option(
                "message",
                "What the migration changes, in a few words.",
                "m",
                Kind.VALUE,
                "MESSAGE",
                bare=True,
            ),
            Option(
                "rename",
                "A column or table that was renamed: TABLE.OLD_COLUMN:NEW_COLUMN, or"
                " OLD_TABLE:NEW_TABLE. Can be given several times.",
                "r",
                Kind.LIST,
                "OLD:NEW",
            ),
            Option(
                "no-rename",
                "Nothing else was renamed: columns and tables that are gone are dropped, those"
                " that are new are added.",
                "n",
            ),
            Option(
                "irreversible",
                "Write a downgrade() that raises an error, for a change that cannot be reverted.",
                "i",
            ),
            Option("extension", "Create this extension first; repeatable.", "c", Kind.LIST, "NAME"),
            Option(
                "rebase",
                "Write no new file; make this revision, which must not be applied to any database"
                " yet, follow the other head.",
                "e",
                Kind.VALUE,
                "REVISION",
            ),
            _BRANCH,
            _against("Tell"),
        ),
        shows="check-models",
        body=adapters.create_migration,
    ),
    Command(
        "upgrade",
        MIGRATIONS,
        "Apply pending migrations: all of them, or up to a revision.",
        "Each migration is committed on its own, so that a failure leaves those before it applied.",
        (
            Option(
                "revision",
                "The revision to stop at: its identifier, LABEL@head, or +N for the next N"
                " (default: head).",
                "r",
                Kind.VALUE,
                "REVISION",
                bare=True,
            ),
            Option("unfinished", "Apply revisions that hold a TODO of create-migration too.", "u"),
            _PLAN,
            Option("check", "With --plan, exit with code 3 if anything unsafe is found.", "c"),
            _against("With --plan, tell"),
            Option(
                "sql", "Change nothing; print the SQL that would run, as a script for psql.", "s"
            ),
        ),
        shows="upgrade --plan",
        looks_with=("plan", "sql"),
        body=adapters.upgrade,
    ),
    Command(
        "downgrade",
        MIGRATIONS,
        "Revert the migrations that were applied last.",
        "They are listed before they are reverted.",
        (
            Option(
                "steps",
                "How many migrations to revert, or `base` for all (default: 1).",
                "s",
                Kind.VALUE,
                "N",
                bare=True,
            ),
            _BRANCH,
            CONFIRM,
            _PLAN,
        ),
        shows="downgrade --plan",
        looks_with=("plan",),
        body=adapters.downgrade,
    ),
    Command(
        "stamp",
        MIGRATIONS,
        "Record that the tables are at a revision, without running it.",
        "Only if they are: they are compared with what the migrations make up to there. Exits with"
        " code 3 if there is a difference.",
        (
            Option(
                "revision",
                "The revision to record: its identifier, `head`, `base` or a branch label; with"
                " several branches, one of each.",
                "r",
                Kind.LIST,
                "REVISION",
                bare=True,
            ),
            Option("find", "Record nothing; find the revision that the tables are at.", "f"),
            Option("anyway", "Record it in spite of differences, which are shown.", "a"),
            CONFIRM,
        ),
        shows="stamp --find",
        looks_with=("find",),
        body=adapters.stamp,
    ),
    Command(
        "squash",
        MIGRATIONS,
        "Replace the oldest migrations by a single one that makes the same.",
        "It is written from the catalogs of a scratch database and compared in another; the old"
        " files are removed if the two are equal. Databases past it go on as before. Exits with"
        " code 3 if there is a difference, or rows to decide about.",
        (
            Option(
                "until",
                "The last migration to squash; the new one has its identifier.",
                "u",
                Kind.VALUE,
                "REVISION",
                bare=True,
            ),
            Option("keep-data", "Write the rows that the migrations leave, too.", "k"),
            Option("drop-data", "Leave out the rows that the migrations leave.", "d"),
        ),
        shows="history",
    ),
    Command(
        "status",
        CHECKS,
        "Show the revision of the database, the pending migrations and what to run next.",
        options=(Option("check", "Exit with code 3 if the database is not up to date.", "c"),),
    ),
    Command(
        "verify",
        CHECKS,
        "Check that models, migrations and database agree, and report every difference.",
        "Exits with code 3 if there is a difference. Nothing is written to the database.",
        (
            Option("grants", "Compare owners and privileges too.", "g"),
            Option(
                "accept",
                "Write the present differences to a file beside env.py; they are accepted from now"
                " on.",
                "a",
            ),
            Option(
                "quick",
                "Only check that the schema of the database has not changed since its last"
                " migration was applied.",
            ),
        ),
        shows="verify",
        writes_with=("accept",),
    ),
    Command(
        "check-models",
        CHECKS,
        "Check that models and migrations agree, in a scratch database.",
        "The service's own database is not needed. Exits with code 3 if there is a difference, also"
        " of the schema file, if the project names one.",
        (Option("write", "Write the project's schema file.", "w"), _against("Check")),
        shows="check-models",
        writes_with=("write",),
        body=adapters.check_models,
    ),
    Command(
        "history",
        CHECKS,
        "List every migration: whether it is applied, when, by whom, and how long it took.",
        options=(
            Option(
                "record",
                "First record the schema and the migration files as they are now, as what later"
                " checks compare with.",
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
        "Exits with code 3 if there is a problem. Nothing is changed.",
    ),
    Command(
        "diagram",
        CHECKS,
        "Draw the tables, or the graph of the migrations, as a Mermaid diagram.",
        options=(
            Option(
                "output",
                "Write the diagram to this file, .mmd or .md (default: print it).",
                "o",
                Kind.VALUE,
                "FILE",
            ),
            Option("revisions", "Draw the migrations instead of the tables.", "r"),
            Option("check", "Write nothing; exit with code 3 if the file is not up to date.", "c"),
        ),
        shows="diagram",
        writes_with=("output",),
        looks_with=("check",),
    ),
    *FLEET_COMMANDS,
    *DATA_COMMANDS,
    *SERVER_COMMANDS,
)
BY_NAME = {command.name: command for command in COMMANDS}
