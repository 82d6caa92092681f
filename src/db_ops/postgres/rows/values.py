"""Values for a column, as text that its type reads: those at its edges, or plain ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from db_ops.postgres.rows.tables import Column

_NUMBER = re.compile(r"(?<![\w.'])-?\d+(?:\.\d+)?(?![\w.'])")
_STRING = re.compile(r"'((?:[^']|'')*)'")
_LONG = 300

_EDGES: dict[str, tuple[str, ...]] = {
    "int2": ("0", "-32768", "32766", "1", "7"),
    "int4": ("0", "-2147483648", "2147483000", "1", "7"),
    "int8": ("0", "-9223372036854775808", "9223372036854775000", "1", "7"),
    "numeric": ("0", "-99999999999999999999.123456789", "0.000000001", "1", "7.5"),
    "float4": ("0", "-1e30", "1.5", "1"),
    "float8": ("0", "-1e300", "0.1", "1"),
    "money": ("0", "-1.50", "92.33"),
    "oid": ("0", "4294967295", "1"),
    "bool": ("true", "false"),
    "date": ("0001-01-01", "9999-12-31", "2024-02-29"),
    "timestamp": ("0001-01-01 00:00", "9999-12-31 23:59:59.999999", "2024-02-29 12:00:00.123456"),
    "timestamptz": (
        "0001-01-01 00:00+00",
        "9999-12-31 23:59:59.999999+00",
        "2024-02-29 12:00:00.123456+02",
    ),
    "time": ("00:00", "23:59:59.999999", "12:00"),
    "timetz": ("00:00+00", "23:59:59.999999-05", "12:00+02"),
    "interval": ("0", "-1 year", "1 day 02:03:04.5"),
    "uuid": (
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        *(f"12345678-1234-5678-1234-{number:012}" for number in range(8)),
    ),
    "json": ("{}", '[1, "50%"]', '{"b": 1,  "a": null}'),
    "jsonb": ("{}", '[1, "50%"]', '{"b": 1,  "a": null}'),
    "bytea": ("", "\\x00ff", "\\xdeadbeef"),
    "inet": ("0.0.0.0", "::1", "10.0.0.1/8"),
    "cidr": ("0.0.0.0/0", "::/0", "10.0.0.0/8"),
    "macaddr": ("00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "08:00:2b:01:02:03"),
    "macaddr8": ("00:00:00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff:ff:ff"),
    "tsvector": ("", "'a' 'b'", "'it':1"),
    "tsquery": ("", "a & b"),
    "xml": ("", "<a/>"),
    "jsonpath": ("$", "$.a"),
    "pg_lsn": ("0/0", "16/B374D848"),
    "point": ("(0,0)", "(-1.5,2)"),
    "line": ("{1,-1,0}",),
    "lseg": ("[(0,0),(1,1)]",),
    "box": ("(1,1),(0,0)", "(2,3),(-1,0)"),
    "path": ("((0,0),(1,1))", "[(0,0),(1,1)]"),
    "polygon": ("((0,0),(1,1),(1,0))",),
    "circle": ("<(0,0),1>",),
    "int4range": ("empty", "[1,5)", "[10,20)"),
    "int8range": ("empty", "[1,5)", "[10,20)"),
    "numrange": ("empty", "[1,5)", "[10,20.5)"),
    "daterange": ("empty", "[2020-01-01,2021-01-01)", "[2022-01-01,)"),
    "tsrange": ("empty", "[2020-01-01,2021-01-01)", "[2022-01-01,)"),
    "tstzrange": ("empty", "[2020-01-01,2021-01-01)", "[2022-01-01,)"),
    "hstore": ("", "a=>1", 'b=>NULL, "c d"=>"50%"'),
    "ltree": ("", "a", "a.b"),
}
_PLAIN = {
    **dict.fromkeys(
        ("int2", "int4", "int8", "numeric", "oid", "money", "float4", "float8"),
        ("1", "2", "3", "4"),
    ),
    "date": ("2024-01-01", "2024-01-02", "2024-01-03"),
    "timestamp": ("2024-01-01", "2024-01-02", "2024-01-03"),
    "timestamptz": ("2024-01-01 00:00+00", "2024-01-02 00:00+00", "2024-01-03 00:00+00"),
    "interval": ("1 day", "2 days", "3 days"),
    "json": ("1", "2", "3"),
    "jsonb": ("1", "2", "3"),
    "inet": ("10.0.0.1", "10.0.0.2", "10.0.0.3"),
}
_TEXTS = ("text", "varchar", "bpchar", "citext", "name", "char")


def values_of(column: Column, *, edges: bool, checks: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return texts that the type of *column* reads, without NULL, each once.

    What *checks* compare with is among them, for they may allow nothing else.
    """
    named = [one for text in checks for one in _named(column, text)]
    if column.category == "N" or column.base in _TEXTS:
        # So that a unique key leaves something for another row.
        named += [str(number) for number in range(1001, 1013)]
    known = dict.fromkeys((*_known(column, edges=edges), *filter(partial(_fits, column), named)))
    return tuple(known)


def _known(column: Column, *, edges: bool) -> Iterator[str]:
    if column.labels and column.element is None:
        yield from (column.labels[0], column.labels[-1], *column.labels)
    elif column.category == "A":
        element = "'" if column.element in _TEXTS or column.labels else ""
        one = column.labels[0] if column.labels else "1" if not element else "a b%"
        quoted = '"' + one.replace("\\", "\\\\").replace('"', '\\"') + '"'
        simple = column.labels or column.element in (*_TEXTS, "int2", "int4", "int8", "numeric")
        yield from ("{}", f"{{{quoted}}}", f"{{NULL,{quoted}}}") if simple else ("{}",)
    elif column.base in _TEXTS:
        yield from _strings(column, edges=edges)
    elif column.base in ("bit", "varbit"):
        width = column.length or 1
        yield from ("0" * width, "1" * width, ("01" * width)[:width])
    elif column.digits is not None:
        precision, scale = column.digits
        most = "9" * max(precision - scale, 0) or "0"
        least = "0." + "0" * (scale - 1) + "1" if scale > 0 else "1"
        yield from ("0", f"-{most}" + (f".{'9' * scale}" if scale > 0 else ""), least)
        yield from (most,) if edges else ()
    elif column.kind == "c":
        return
    else:
        found = _EDGES.get(column.base, ("", "0", "{}", "1"))
        yield from found if edges else _PLAIN.get(column.base, found)


def _strings(column: Column, *, edges: bool) -> Iterator[str]:
    width = column.length or (1 if column.base in ("char", "bpchar") else _LONG)
    if edges:
        longest = ("é100% it's " * width)[:width]
        # Blanks at the end of a padded value are no part of it.
        yield from ("", longest.rstrip() if column.base == "bpchar" else longest)
    yield from (str(number)[:width] for number in range(1, 6))


def _named(column: Column, text: str) -> Iterator[str]:
    """Yield the constants of an expression, and for numbers their neighbours."""
    for found in _STRING.findall(text):
        yield found.replace("''", "'")
    if column.category == "N":
        for found in _NUMBER.findall(text):
            whole = int(float(found))
            yield from (found, str(whole + 1), str(whole - 1))
    elif column.base in _TEXTS:
        for found in {"1", "3", *re.findall(r"\d+", text)}:
            # Perhaps a length, and what a pattern asks for.
            yield from (one * min(int(found), _LONG) for one in "xX1")


def _fits(column: Column, text: str) -> bool:
    if column.labels:
        return text in column.labels
    if column.category == "N":
        whole = column.digits is None or len(text.partition(".")[0]) <= column.digits[0] - max(
            column.digits[1], 0
        )
        return whole and re.fullmatch(r"-?\d+(\.\d+)?", text) is not None
    if column.base in _TEXTS:
        return len(text) <= (column.length or _LONG)
    return False
