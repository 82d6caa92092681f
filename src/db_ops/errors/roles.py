"""Errors of the roles that log in and act: what they lack, and what gives it."""

from __future__ import annotations

from db_ops.errors.quote_ident import quote_ident
from db_ops.errors.server import ServerError
from db_ops.frozen_data import replace


class InsufficientPrivilege(ServerError):
    """The role lacks a right; `remedy` gives it."""

    what = "{location}: role {role!r} may not {action}"
    then = "{remedy}"
    role: str
    action: str
    remedy: str

    @classmethod
    def to_create(cls, location: str, role: str) -> InsufficientPrivilege:
        """Return the error for a role that lacks CREATEDB, with both remedies."""
        alter = f"ALTER ROLE {quote_ident(role)} CREATEDB"
        remedy = f"as a superuser: {alter}, or create the database, owned by it"
        return cls(location, role, "create databases", remedy)

    def or_reset(self) -> InsufficientPrivilege:
        """Return the error for a database that may as well be emptied."""
        soft = "to empty the database of what this role owns: DB_OPS_SOFT_RESET=1 db-ops recreate"
        return replace(self, remedy=f"{self.remedy}; {soft}")


class RoleMissing(ServerError):
    """The role that the settings name is none of the server's."""

    what = "{location}: there is no role {role!r}, which the settings name to act as"
    then = "{remedy}"
    role: str
    remedy: str


class RoleNotGranted(ServerError):
    """The role that logs in may not act as the one that the settings name."""

    what = "{location}: role {user!r} may not act as {role!r}, which the settings name"
    then = "{remedy}"
    user: str
    role: str
    remedy: str
