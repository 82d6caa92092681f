"""Errors of a run over the databases, or schemas, of a fleet."""

from __future__ import annotations

from db_ops.errors.misuse import MisuseError
from db_ops.errors.server import ServerError


class OtherSchema(MisuseError):
    """The project's env.py would migrate another schema than the one that is meant."""

    what = "{place}: would migrate {found}, and {schema} is meant; nothing was run"
    then = "{remedy}"
    place: str
    schema: str
    found: str
    remedy: str = (
        "let env.py take the schema that it is run for: as search_path of its session, and as "
        "version_table_schema of context.configure"
    )


class EnvNotTold(MisuseError):
    """The project's env.py does not run before it is told which member of a fleet is meant."""

    what = "{place}: does not run before it is told which of the fleet is meant: {reason}"
    then = "{remedy}"
    place: str
    reason: str
    remedy: str


class OtherMembersChanged(ServerError):
    """A revision that ran for one schema of a fleet has changed tables of others."""

    what = (
        "{location}: {path}, run for {schema}, changes tables of {others} as well; it was rolled "
        "back"
    )
    then = (
        "a history that goes through the schemas itself is one for all of them: db-ops upgrade; "
        "if {path} is to be for each, let it name no schema"
    )
    path: str
    schema: str
    others: tuple[str, ...]
