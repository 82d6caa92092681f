"""A schema as a script of SQL, the same from any server that was given the same statements.

The text is that of the catalogs, as comparisons read them: without owners and rights, and without
what a version of the server puts there of its own. What no statement is known for is told in lines
of comment, so that nothing that decides a schema is left out.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from db_ops.postgres.schema.objects import Schema, SchemaObject
from db_ops.postgres.schema.ownership import RIGHTS
from db_ops.postgres.schema.script.statements import is_foreign_key, stands_in_table, statements
from db_ops.postgres.schema.script.tables import table_statements

_TABLES = ("table", "partition", "foreign table")
_VIEWS = ("view", "materialized view")
_ROUTINES = ("function", "procedure", "aggregate")
_TYPES = ("collation", "enum", "composite type", "range type", "base type", "domain")
# The order of the script: each kind after what it mostly needs. The parts of a type, a table or a
# view follow it, but for those that may need any table or any function.
_SECTIONS = (
    ("schema",),
    ("extension",),
    ("foreign data wrapper", "foreign server"),
    _TYPES,
    ("sequence",),
    _TABLES,
    _VIEWS,
    _ROUTINES,
    ("operator", "operator class", "cast", "text search configuration", "text search dictionary"),
    ("trigger", "rule", "policy"),
    ("foreign key",),
    ("event trigger", "publication", "publication table"),
)
_SECTION = {kind: number for number, kinds in enumerate(_SECTIONS) for kind in kinds}
_LATE = ("trigger", "rule", "policy", "foreign key", "publication table")
_WHOLE = (*_TABLES, *_VIEWS, "domain")
# What others name in their definitions.
_NAMED = (*_TYPES, "sequence", *_TABLES, *_VIEWS, *_ROUTINES)
_QUALIFIED = re.compile(r'(?:"(?:[^"]|"")+"|[\w$]+)\.(?:"(?:[^"]|"")+"|[\w$]+)')


@dataclass(frozen=True)
class _Block:
    """A part of the script, and its place: section, what it is a part of, its kind and name.

    `name` is how a definition names what it makes.
    """

    place: tuple[int, str, str, str]
    name: str
    text: str


def schema_script(schema: Schema) -> str:
    """Return *schema* as SQL that makes it in an empty database, as far as statements can.

    Range partitions are left out: jobs make and drop those, and so may a revision by the day's
    date. Of an extension the version is left out, which is that of the server's.
    """
    out = {
        name
        for (kind, name), one in schema.objects.items()
        if kind == "partition" and one.attributes.get("bound", "").startswith("FOR VALUES FROM")
    }
    parts: dict[str, list[SchemaObject]] = defaultdict(list)
    blocks = []
    for one in schema.objects.values():
        if stands_in_table(one, schema):
            parts[one.parent or ""].append(one)
    for one in schema.objects.values():
        left_out = one.kind in RIGHTS or not out.isdisjoint({one.name, one.parent})
        if left_out or stands_in_table(one, schema):
            continue
        if one.kind == "table":
            lines = table_statements(one, parts[one.name], schema)
        else:
            lines = statements(one, schema.major)
        text = "\n".join(lines)
        if text:
            blocks.append(_Block(_place(one, schema), _mention(one), text))
    public = "" if ("schema", "public") in schema.objects else "DROP SCHEMA public;\n\n"
    return public + "".join(_written(_in_order(blocks)))


def _place(one: SchemaObject, schema: Schema) -> tuple[int, str, str, str]:
    kind = "foreign key" if is_foreign_key(one) else one.kind
    if kind in _SECTION:
        return _SECTION[kind], one.parent or "" if kind in _LATE else one.name, "", one.name
    whole = next((of for of in _WHOLE if (of, one.parent) in schema.objects), "")
    return _SECTION.get(whole, len(_SECTIONS)), one.parent or "", kind, one.name


def _mention(one: SchemaObject) -> str:
    """Return how a definition names *one*, nothing if none does."""
    return one.name.partition("(")[0] if one.kind in _NAMED else ""


def _in_order(blocks: Iterable[_Block]) -> Iterator[_Block]:
    """Yield *blocks* by their places, each after those that it mentions."""
    waiting = sorted(blocks, key=lambda block: block.place, reverse=True)
    named: dict[str, list[_Block]] = defaultdict(list)
    for block in waiting:
        named[block.name].append(block)
    begun: set[_Block] = set()
    done: set[_Block] = set()
    while waiting:
        block = waiting[-1]
        if block not in begun:
            begun.add(block)
            names = set(_QUALIFIED.findall(block.text)) - {block.name}
            needed = (one for name in sorted(names, reverse=True) for one in named.get(name, ()))
            waiting += [one for one in needed if one not in begun]
            continue
        waiting.pop()
        if block not in done:
            done.add(block)
            yield block


def _written(blocks: Iterable[_Block]) -> Iterator[str]:
    whole = None
    for block in blocks:
        yield f"{block.text}\n" if whole in (None, block.place[:2]) else f"\n{block.text}\n"
        whole = block.place[:2]
