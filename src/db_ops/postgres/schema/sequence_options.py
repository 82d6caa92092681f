"""The options of a column's own sequence, as the catalogs list them and as SQL writes them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from db_ops.errors.quote_ident import quote_ident
from db_ops.postgres.schema.identifiers import schema_prefix, unquoted_parts
from db_ops.postgres.schema.objects import SchemaObject

# The default of a column that draws from the sequence which it owns.
OWN_SEQUENCE = "nextval(its own sequence)"
SERIAL = {"smallint": "smallserial", "integer": "serial", "bigint": "bigserial"}
LARGEST = {"smallint": 32767, "integer": 2147483647, "bigint": 9223372036854775807}
_OPTIONS = ("START", "INCREMENT", "MINVALUE", "MAXVALUE", "CACHE")


def new_options(options: str) -> Iterator[str]:
    """Yield the clauses of a new sequence, without those that its type implies."""
    kind, of = options.partition(" ")[0], dict(option_pairs(options))
    implied = {"START": "1", "INCREMENT": "1", "MINVALUE": "1", "CACHE": "1"}
    implied["MAXVALUE"] = str(LARGEST.get(kind, ""))
    if of.get("INCREMENT", "1").startswith("-"):
        implied = {"CACHE": "1"}
    yield from (f"{word} {value}" for word, value in of.items() if implied.get(word) != value)
    if options.endswith(" CYCLE"):
        yield "CYCLE"


def changed_options(before: str, after: str) -> Iterator[str]:
    """Yield the clauses in which two sequences differ, but for the type."""
    old, new = dict(option_pairs(before)), dict(option_pairs(after))
    yield from (f"{word} {value}" for word, value in new.items() if old.get(word) != value)
    if before.endswith(" CYCLE") != after.endswith(" CYCLE"):
        yield "CYCLE" if after.endswith(" CYCLE") else "NO CYCLE"


def option_pairs(options: str) -> Iterator[tuple[str, str]]:
    """Yield the clauses of a sequence as the catalogs list them: a type first, then pairs."""
    for word, value in itertools.pairwise(options.split()):
        if word in _OPTIONS:
            yield word, value


def own_sequence_name(column: SchemaObject, suffix: str = "_seq") -> str:
    """Return what the server calls the sequence of a serial *column*, quoted.

    Where that is taken, with another *suffix*.
    """
    table = column.parent or ""
    label = f"{unquoted_parts(table)[-1]}_{unquoted_parts(column.label)[-1]}"
    return schema_prefix(table) + quote_ident(cut_name(label, suffix))


def cut_name(label: str, suffix: str) -> str:
    """Return *label* and *suffix* as a name that the server does not shorten."""
    return label.encode()[: 63 - len(suffix)].decode(errors="ignore") + suffix
