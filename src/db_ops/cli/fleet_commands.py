"""The declaration of the command for many databases."""

from __future__ import annotations

from db_ops.cli import adapters
from db_ops.cli.declaration import Command, Kind, Option

FLEET = "Work on all databases of a fleet"


def _value(name: str, letter: str | None, metavar: str, help: str) -> Option:
    return Option(name, help, letter, Kind.VALUE, metavar)


FLEET_COMMANDS = (
    Command(
        "fleet",
        FLEET,
        "Upgrade, downgrade, init, show or verify all databases that the project names.",
        "Each under its own lock, several at once, in one report. One that fails does not stop the"
        " others. Exits with code 1 if any has failed; status and verify exit with code 3 if any"
        " differs.",
        (
            Option(
                "action",
                "What to do with each: upgrade, downgrade, status, verify (as with --quick), init"
                " or history.",
                kind=Kind.POSITIONAL,
                metavar="COMMAND",
                choices=("upgrade", "downgrade", "status", "verify", "init", "history"),
            ),
            _value("jobs", "J", "JOBS", "How many to work on at once (default: 2 per processor)."),
            _value(
                "connections-per-server",
                None,
                "COUNT",
                "How many connections to ask a server for at most.",
            ),
            _value(
                "canary",
                None,
                "COUNT",
                "Work on so many first, and on the others if none of these fails.",
            ),
            _value("max-failures", None, "COUNT", "Begin no other when so many have failed."),
            _value(
                "shard",
                None,
                "K/N",
                "Work on the part K of N; without K, it is JOB_COMPLETION_INDEX + 1, as Kubernetes"
                " sets it.",
            ),
            Option("only", "Work on this one; repeatable.", "o", Kind.LIST, "NAME"),
            _value("revision", "r", "REVISION", "The revision that upgrade stops at."),
            _value(
                "steps", "s", "STEPS", "How many revisions downgrade reverts, or `base` for all."
            ),
            _value(
                "confirm",
                "c",
                "COUNT",
                "The number of databases; downgrade needs it where their data is protected.",
            ),
            Option("quick", "Compare with the records, which is all that verify does for many."),
        ),
        shows="fleet status",
        looks_at=("status", "verify", "history"),
        body=adapters.fleet,
    ),
)
