"""The declaration of the commands around the database: its server, what is kept, a new project."""

from __future__ import annotations

from db_ops.cli import adapters
from db_ops.cli.declaration import Command, Kind, Option

SERVER = "Manage the server and the template databases"
PROJECT = "Set up a project"

SERVER_COMMANDS = (
    Command(
        "shell",
        SERVER,
        "Open psql on the database; on a terminal pgcli, where it is installed.",
        "What stands on standard input is run, up to the first error.",
        (Option("command", "Run this SQL and end.", "c", Kind.VALUE, "SQL"),),
        shows="status",
        hands_over=True,
    ),
    Command(
        "start",
        SERVER,
        "Start the project's own PostgreSQL server.",
        "It is created first if there is none. Commands that need it start it themselves.",
        shows="doctor",
    ),
    Command(
        "stop", SERVER, "Stop the project's own PostgreSQL server; its data stays.", shows="doctor"
    ),
    Command(
        "url",
        SERVER,
        "Print the URL of the database, for psql and the application.",
        options=(Option("with-password", "Include the password.", "w"),),
    ),
    Command(
        "branches",
        SERVER,
        "List the databases of git branches, where each branch has its own.",
        options=(
            Option("prune", "Drop those first whose branch is gone from this repository.", "p"),
        ),
        shows="branches",
        writes_with=("prune",),
    ),
    Command(
        "cache",
        SERVER,
        "List the template databases that make `init` and `recreate` quick, and what `undo` brings"
        " back.",
        options=(
            Option(
                "clear",
                "Delete those of this database; templates are built again when needed.",
                "c",
            ),
        ),
        shows="cache",
        writes_with=("clear",),
    ),
    Command(
        "new",
        PROJECT,
        "Write alembic.ini, env.py and the other files that Alembic needs, for existing models.",
        "No file is overwritten.",
        (
            Option(
                "models",
                "The module of the models and the name of their declarative base in it.",
                "m",
                Kind.VALUE,
                "MODULE:BASE",
            ),
        ),
        shows="doctor",
        body=adapters.new,
    ),
)
