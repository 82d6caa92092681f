"""What keeps a database from being created or replaced."""

from __future__ import annotations

from db_ops.errors.base import ExitCode
from db_ops.errors.server import ServerError


class TemplateInUse(ServerError):
    """Sessions are connected to the database that CREATE DATABASE copies."""

    exit_code = ExitCode.TRY_AGAIN
    what = "{location}: cannot be created: {template} is in use by {holders}"
    then = "let them end and run this again, or end them: {remedy}"
    template: str
    holders: str
    remedy: str


class CollationMismatch(ServerError):
    """The database that CREATE DATABASE copies was made with another version of its collation."""

    what = (
        "{location}: cannot be created: {template} was made with collation version {recorded}, the"
        " operating system has {actual}"
    )
    then = "{remedy}"
    template: str
    recorded: str
    actual: str
    remedy: str


class DatabaseReplaced(ServerError):
    """Somebody has created, dropped or renamed the database while its successor was built."""

    exit_code = ExitCode.TRY_AGAIN
    what = "{location}: somebody else has created or replaced it meanwhile; it is left as it is"
    then = "see what it is: db-ops status, then run this again"
