"""How a kind of object is read from the catalogs, written as data.

Every kind becomes one branch of a single UNION ALL, so that reading and hashing see the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from db_ops.frozen_data import FrozenData

# An SQL expression, or what gives one for the server's major version (None: not there).
Expression = str | Callable[[int], str | None]


class Kind(FrozenData):
    """One kind of object: its rows are aliased `o`, and its objects named by `identity`.

    `catalog` owns the rows' comments and extension memberships; `number` is what those call the
    row. `parent` is the object that this one falls with; a `nested` one is named within it. What is
    not `in_schema` belongs to the database as a whole.
    """

    name: str
    catalog: str
    source: str
    identity: str
    attributes: Mapping[str, Expression]
    where: str = "true"
    parent: str = "NULL::text"
    number: str = "o.oid"
    column_number: str = "0"
    nested: bool = False
    in_schema: bool = True

    def names(self, major: int) -> tuple[str, ...]:
        """Return the names of the attributes that *major* versions have, the comment last."""
        return (*self._expressions(major), "comment")

    def select(self, major: int) -> str:
        """Return the query for servers of this *major* version.

        Its rows are kind, parent, name, attributes without the comment, and what has the comment:
        catalog, number and part.
        """
        values = ", ".join(f"({text})::text" for text in self._expressions(major).values())
        catalog = f"'{self.catalog}'::regclass"
        # NOT IN, and one join with the comments outside: to plan dozens of joins took longer than
        # to run them.
        return f"""
            SELECT '{self.name}'::text, {self.parent}, {self.identity}, ARRAY[{values}]::text[],
                {catalog}::oid, {self.number}, ({self.column_number})::int
            FROM {self.source}
            WHERE ({self.where})
            AND {self.number} NOT IN (SELECT objid FROM member WHERE classid = {catalog})
        """

    def _expressions(self, major: int) -> dict[str, str]:
        found = {
            name: expression if isinstance(expression, str) else expression(major)
            for name, expression in self.attributes.items()
        }
        return {name: expression for name, expression in found.items() if expression is not None}


def since(major: int, expression: str) -> Expression:
    """Return an expression that servers older than *major* do not have."""
    return lambda version: expression if version >= major else None


def choice(expression: str, **words: str) -> str:
    """Return SQL that spells out a one-letter code of the catalogs."""
    cases = " ".join(f"WHEN '{letter}' THEN '{word}'" for letter, word in words.items())
    return f"CASE {expression}::text {cases} ELSE {expression}::text END"


def flag(condition: str, word: str) -> str:
    """Return SQL that is *word* where *condition* holds, else NULL."""
    return f"CASE WHEN {condition} THEN '{word}' END"


def reference(oid: str, kind: str) -> str:
    """Return SQL that names what *oid* refers to, NULL for none."""
    return f"nullif({oid}, 0)::{kind}::text"


def sorted_elements(array: str) -> str:
    """Return SQL for the elements of a text *array*, sorted; NULL stays NULL."""
    return (
        f"CASE WHEN {array} IS NOT NULL THEN"
        f" (SELECT string_agg(x, ', ' ORDER BY x COLLATE \"C\") FROM unnest({array}) x) END"
    )


# Some builds of the server keep a stamp of their own here, another one in every database.
COLUMN_OPTIONS = """
    CASE WHEN o.attoptions IS NOT NULL THEN
        (SELECT string_agg(x, ', ' ORDER BY x COLLATE "C")
        FROM unnest(o.attoptions) x WHERE x !~ '^pg_') END
"""
