"""Find the extension without which the server refuses a statement of the models."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

# Extensions by what they bring, where that is not their own name.
_BROUGHT_BY = {
    "box2d": "postgis",
    "crypt": "pgcrypto",
    "digest": "pgcrypto",
    "gen_random_bytes": "pgcrypto",
    "gen_salt": "pgcrypto",
    "geography": "postgis",
    "geometry": "postgis",
    "gin_trgm_ops": "pg_trgm",
    "gist": "btree_gist",
    "gin": "btree_gin",
    "gist_trgm_ops": "pg_trgm",
    "halfvec": "vector",
    "isbn": "isn",
    "isbn13": "isn",
    "lquery": "ltree",
    "ltxtquery": "ltree",
    "raster": "postgis_raster",
    "similarity": "pg_trgm",
    "sparsevec": "vector",
    "uuid_generate_v1": "uuid-ossp",
    "uuid_generate_v1mc": "uuid-ossp",
    "uuid_generate_v4": "uuid-ossp",
    "vector": "vector",
}
# The server has these words too, so that they prove nothing without a trial.
_AMBIGUOUS = ("digest", "gin", "gist")


@dataclass(frozen=True)
class MissingExtension:
    """An extension that a statement needs; `tried` if the statement has worked with it."""

    name: str
    tried: bool


def missing_extension(connection: Connection, statement: str) -> MissingExtension | None:
    """Return the extension that *statement*, which was refused, has words of.

    What the server has is tried, in a transaction that is rolled back.
    """
    words = dict.fromkeys(re.findall(r"[\w-]+", statement.lower()))
    named = dict.fromkeys(_BROUGHT_BY.get(word, word) for word in words)
    with closing(connection.cursor(cursor_factory=Cursor)) as cursor:
        cursor.execute(
            "SELECT name FROM pg_available_extensions"
            " WHERE name = ANY (%s) AND installed_version IS NULL",
            (list(named),),
        )
        available = {str(name) for (name,) in cursor.fetchall()}
        for name in filter(available.__contains__, named):
            if _works_with(cursor, name, statement):
                return MissingExtension(name, tried=True)
    told = (_BROUGHT_BY[one] for one in words if one in _BROUGHT_BY and one not in _AMBIGUOUS)
    absent = (name for name in told if name not in available)
    return next((MissingExtension(name, tried=False) for name in absent), None)


def _works_with(cursor: Cursor, extension: str, statement: str) -> bool:
    cursor.execute("BEGIN")
    try:
        cursor.execute(f'CREATE EXTENSION "{extension}" CASCADE')
        cursor.execute(statement)
    except psycopg2.Error:
        return False
    finally:
        cursor.execute("ROLLBACK")
    return True
