"""What a foreign key that the server refuses refers to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from psycopg2.errorcodes import FOREIGN_KEY_VIOLATION

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

_REFERENCED = re.compile(r"\bREFERENCES\s+((?:\"(?:[^\"]|\"\")*\"|[\w.])+)")


def empty_parent(cursor: Cursor, sqlstate: str, statement: str) -> tuple[int | None, str]:
    """Return the table without rows that a refused foreign key of *statement* refers to.

    Its OID and its name as written there; None if the refusal has another cause.
    """
    found = _REFERENCED.search(statement) if sqlstate == FOREIGN_KEY_VIOLATION else None
    if found is None:
        return None, ""
    name = found[1].replace("%", "%%")
    cursor.execute(
        f"SELECT to_regclass(%s)::oid::bigint, EXISTS (SELECT FROM {name})", found.groups()
    )
    ((oid, has_rows),) = cursor.fetchall()
    return (None, "") if has_rows else (oid, found[1])
