"""The declaration of the commands that keep the database with its data, and bring it back."""

from __future__ import annotations

from db_ops.cli import adapters
from db_ops.cli.declaration import Command, Kind, Option

DATA = "Keep the data and bring it back"

CONFIRM = Option(
    "confirm",
    "The exact name of the database; needed to allow this where its data is protected, which is in"
    " every environment but development and test.",
    "c",
    Kind.VALUE,
    "DATABASE",
)
_FILE = Option(
    "file",
    "The file: .dump is an archive for pg_restore, .sql and .sql.gz are scripts for psql.",
    kind=Kind.POSITIONAL,
    metavar="FILE",
)

DATA_COMMANDS = (
    Command(
        "undo",
        DATA,
        "Bring back the database, with its data, as it was before delete-db, recreate, restore,"
        " load or downgrade.",
        "In development and test, what these replace is kept for a day, or until the next of them."
        " Run once more, it brings back what it has replaced itself.",
        (
            Option("list", "Change nothing; show what is kept.", "l"),
            CONFIRM,
        ),
        shows="undo --list",
        looks_with=("list",),
        body=adapters.undo,
    ),
    Command(
        "snapshot",
        DATA,
        "Copy the database with its data under a name, to restore it later.",
        "Programs that are connected to the database are disconnected.",
        (
            Option("name", "The name of the snapshot.", kind=Kind.POSITIONAL, metavar="NAME"),
            CONFIRM,
        ),
        shows="snapshots",
    ),
    Command(
        "restore",
        DATA,
        "Replace the database, with its data, by a snapshot of it.",
        "What was written since the snapshot was taken is lost.",
        (
            Option("name", "The name of the snapshot.", kind=Kind.POSITIONAL, metavar="NAME"),
            CONFIRM,
        ),
        shows="snapshots",
    ),
    Command(
        "snapshots",
        DATA,
        "List the snapshots of the database, with age, size and revision.",
        options=(Option("drop", "Delete the snapshot of this name.", "d", Kind.VALUE, "NAME"),),
        shows="snapshots",
        writes_with=("drop",),
        body=adapters.snapshots,
    ),
    Command(
        "dump",
        DATA,
        "Write the database with its data to a file, by pg_dump.",
        "The file is there when it is complete.",
        (
            _FILE,
            Option("grants", "Write owners and privileges into a script, too.", "g"),
        ),
    ),
    Command(
        "load",
        DATA,
        "Replace the database, with its data, by what a file holds that `dump` has written.",
        "The old database is replaced once the new one is complete.",
        (
            _FILE,
            Option(
                "grants",
                "Restore the owners and privileges in the file; without this option, all belongs to"
                " the role that loads it.",
                "g",
            ),
            CONFIRM,
        ),
        shows="status",
        body=adapters.load_dump,
    ),
)
