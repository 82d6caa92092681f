"""Quote the names of databases, roles and schemas in SQL that is shown or written to files.

What is sent to a server is composed by `psycopg2.sql`, which needs a connection.
"""

from __future__ import annotations

import re

_PLAIN = r"[a-z_][a-z0-9_]*"
# https://www.postgresql.org/docs/current/sql-keywords-appendix.html: all that is reserved there.
_RESERVED = frozenset(
    """
    all analyse analyze and any array as asc asymmetric authorization binary both case cast check
    collate collation column concurrently constraint create cross current_catalog current_date
    current_role current_schema current_time current_timestamp current_user default deferrable desc
    distinct do else end except false fetch for foreign freeze from full grant group having ilike in
    initially inner intersect into is isnull join lateral leading left like limit localtime
    localtimestamp natural not notnull null offset on only or order outer overlaps placing primary
    references returning right select session_user similar some symmetric system_user table
    tablesample then to trailing true union unique user using variadic verbose when where window
    with
    """.split()  # noqa: SIM905  # a literal would be a hundred lines
)


def quote_ident(name: str) -> str:
    """Return *name* as SQL takes it, quoted where that is needed, as the server does."""
    if re.fullmatch(_PLAIN, name) and name not in _RESERVED:
        return name
    return in_quotes(name)


def in_quotes(name: str) -> str:
    """Return *name* in quotes, which SQL takes wherever it takes a name."""
    return '"' + name.replace('"', '""') + '"'
