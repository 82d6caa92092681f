"""What models are drawn from: types with values and defaults, and what a type may change into."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A type: Python source, three SQL literals at the edges, defaults in Python source."""

    of: str
    values: tuple[str, str, str]
    defaults: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    family: str = ""


_INT_CHECKS = ("{c} % 7 < 7", "{c} <> 12345", "{c} IS NULL OR {c} > -99999999999")
_TEXT_CHECKS = (
    "{c} <> 'zz'",
    "length({c}) < 1000",
    "{c} NOT LIKE 'x%y'",
    "{c} <> 'a:b'",
    "{c} IN ('', 'zz zz') OR length({c}) > -1",
)
_TEXT_DEFAULTS = (
    "'x'",
    '"it\'s"',
    "'100% sure'",
    "text(\"'50%'\")",
    "''",
    "'a:b'",
    "text(\"'a' || 'b'\")",
    "'back\\\\slash'",
)

KINDS = {
    "smallint": Kind("sa.SmallInteger", ("0", "-32768", "32767"), ("'0'", "text('7')"), _INT_CHECKS, "int"),
    "int": Kind("sa.Integer", ("0", "-2147483648", "2147483647"), ("'0'", "text('7')", "text('-1')", "text('10 % 3')"), _INT_CHECKS, "int"),
    "bigint": Kind("sa.BigInteger", ("0", "-9223372036854775808", "9223372036854775807"), ("'0'", "text('12')"), _INT_CHECKS, "int"),
    "numeric": Kind("sa.Numeric", ("0", "-1.23456789", "99999999999999999999.5"), ("'1.5'", "text('0')"), ("{c} > -1000000",), "number"),
    "numeric(10,2)": Kind("sa.Numeric(10, 2)", ("0", "-99999999.99", "0.01"), ("'1.5'", "text('0.25')"), ("{c} >= -100000000",), "number"),
    "numeric(12,4)": Kind("sa.Numeric(12, 4)", ("0", "-99999999.9999", "0.0001"), ("'1.5'",), (), "number"),
    "float": Kind("sa.Double", ("0", "-1.5e300", "0.1"), ("'0.5'",), (), "number"),
    "real": Kind("sa.REAL", ("0", "-1.5", "0.25"), ("text('1')",), (), "number"),
    "string20": Kind("sa.String(20)", ("''", "repeat('é', 20)", "'a b%'"), _TEXT_DEFAULTS, _TEXT_CHECKS, "text"),
    "string40": Kind("sa.String(40)", ("''", "repeat('ü', 40)", "'it''s'"), _TEXT_DEFAULTS, _TEXT_CHECKS, "text"),
    "string": Kind("sa.String", ("''", "repeat('x', 300)", "'100%'"), _TEXT_DEFAULTS, _TEXT_CHECKS, "text"),
    "text": Kind("sa.Text", ("''", "repeat('y', 500)", "'a:b'"), _TEXT_DEFAULTS, _TEXT_CHECKS, "text"),
    "textC": Kind("sa.Text(collation='C')", ("''", "repeat('y', 50)", "'z'"), _TEXT_DEFAULTS, _TEXT_CHECKS, "text"),
    "char5": Kind("sa.CHAR(5)", ("''", "'abcde'", "'x'"), ("'x'",), (), "char"),
    "bool": Kind("sa.Boolean", ("true", "false", "true"), ("sa.true()", "text('false')", "'t'"), (), "bool"),
    "date": Kind("sa.Date", ("'0001-01-01'", "'9999-12-31'", "'2024-02-29'"), ("text('CURRENT_DATE')", "'2020-01-01'"), ("{c} > '0001-01-01'::date - 1",), "time"),
    "timestamp": Kind("sa.DateTime", ("'0001-01-01'", "'9999-12-31 23:59:59.999999'", "'2024-02-29 12:00'"), ("sa.func.now()", "text('CURRENT_TIMESTAMP')", "'2020-01-01'"), (), "time"),
    "timestamptz": Kind("sa.DateTime(timezone=True)", ("'0001-01-01 00:00+00'", "'9999-12-31 23:59:59.999999+00'", "'2024-02-29 12:00+02'"), ("sa.func.now()", "text('now()')", "text(\"(now() AT TIME ZONE 'utc')\")"), (), "time"),
    "timestamp3": Kind("pg.TIMESTAMP(precision=3)", ("'0001-01-01'", "'9999-12-31 23:59:59.999'", "'2024-02-29 12:00:00.123'"), ("sa.func.now()",), (), "time"),
    "time": Kind("sa.Time", ("'00:00'", "'23:59:59.999999'", "'12:00'"), ("'12:00'",), (), "clock"),
    "interval": Kind("sa.Interval", ("'0'", "'-1 year'", "'1 day 02:03'"), ("text(\"'1 day'\")",), (), "interval"),
    "uuid": Kind("sa.Uuid", ("'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'", "'12345678-1234-5678-1234-567812345678'"), ("text('gen_random_uuid()')",), (), "uuid"),
    "json": Kind("sa.JSON", ("'{}'", "'[1, 2]'", "'{\"a\": \"b%\"}'"), ("text(\"'{}'\")", "'[]'"), (), "json"),
    "jsonb": Kind("pg.JSONB", ("'{}'", "'[1, 2]'", "'{\"a\": \"b%\"}'"), ("text(\"'{}'::jsonb\")", "'{\"a\": 1}'"), (), "json"),
    "int[]": Kind("pg.ARRAY(sa.Integer)", ("'{}'", "'{1,NULL,-5}'", "'{2147483647}'"), ("'{}'", "text(\"'{1,2}'\")"), (), "array"),
    "text[]": Kind("pg.ARRAY(sa.Text)", ("'{}'", "'{a,\"b c\"}'", "'{NULL}'"), ("'{}'", "text(\"ARRAY['a']::text[]\")"), (), "array"),
    "bytea": Kind("sa.LargeBinary", ("''", "'\\x00ff'", "'\\xdeadbeef'"), (), (), "bytes"),
    "inet": Kind("pg.INET", ("'0.0.0.0'", "'::1'", "'10.0.0.0/8'"), ("'127.0.0.1'",), (), "inet"),
    "tsvector": Kind("pg.TSVECTOR", ("''", "'a b'", "'it:1'"), (), (), "tsvector"),
    "int4range": Kind("pg.INT4RANGE", ("'empty'", "'[1,5)'", "'[10,20)'"), (), (), "range"),
    "tstzrange": Kind("pg.TSTZRANGE", ("'empty'", "'[2020-01-01,2021-01-01)'", "'[2022-01-01,)'"), (), (), "range"),
    "bit4": Kind("pg.BIT(4)", ("B'0000'", "B'1111'", "B'0101'"), (), (), "bit"),
    "money": Kind("pg.MONEY", ("'0'", "'-1.50'", "'92.33'"), (), (), "money"),
    "macaddr": Kind("pg.MACADDR", ("'00:00:00:00:00:00'", "'ff:ff:ff:ff:ff:ff'", "'08:00:2b:01:02:03'"), (), (), "mac"),
}  # fmt: skip

KEEPS, LOSES, FAILS = "keeps", "loses", "fails"
# What a type changes into, and whether the values at the edges survive it, lose digits, or do not fit.
CHANGES: dict[str, tuple[tuple[str, str], ...]] = {
    "smallint": (("int", KEEPS), ("bigint", KEEPS), ("numeric", KEEPS)),
    "int": (("bigint", KEEPS), ("numeric", KEEPS), ("smallint", FAILS), ("text", KEEPS), ("string20", KEEPS), ("float", KEEPS)),
    "bigint": (("numeric", KEEPS), ("int", FAILS), ("text", KEEPS)),
    "numeric": (("numeric(10,2)", FAILS), ("float", LOSES), ("text", KEEPS)),
    "numeric(10,2)": (("numeric", KEEPS), ("numeric(12,4)", KEEPS), ("float", LOSES), ("int", LOSES)),
    "numeric(12,4)": (("numeric(10,2)", LOSES), ("numeric", KEEPS)),
    "float": (("numeric", FAILS), ("real", FAILS), ("text", KEEPS)),
    "real": (("float", KEEPS), ("numeric", KEEPS)),
    "string20": (("string40", KEEPS), ("text", KEEPS), ("string", KEEPS), ("textC", KEEPS), ("char5", FAILS), ("int", FAILS)),
    "string40": (("string20", FAILS), ("text", KEEPS), ("string", KEEPS), ("jsonb", FAILS)),
    "string": (("string40", FAILS), ("text", KEEPS), ("textC", KEEPS)),
    "text": (("string", KEEPS), ("string20", FAILS), ("textC", KEEPS), ("int", FAILS), ("uuid", FAILS)),
    "textC": (("text", KEEPS), ("string40", FAILS)),
    "char5": (("string20", LOSES), ("text", LOSES)),
    "bool": (("int", KEEPS), ("text", KEEPS)),
    "date": (("timestamp", KEEPS), ("timestamptz", KEEPS), ("text", KEEPS)),
    "timestamp": (("timestamptz", KEEPS), ("date", LOSES), ("timestamp3", LOSES), ("text", KEEPS)),
    "timestamptz": (("timestamp", KEEPS), ("date", LOSES)),
    "timestamp3": (("timestamp", KEEPS),),
    "uuid": (("text", KEEPS), ("string40", KEEPS)),
    "json": (("jsonb", LOSES), ("text", KEEPS)),
    "jsonb": (("json", KEEPS), ("text", KEEPS)),
    "int[]": (("text[]", KEEPS),),
    "inet": (("text", KEEPS),),
    "time": (("text", KEEPS), ("interval", KEEPS)),
    "interval": (("text", KEEPS),),
    "macaddr": (("text", KEEPS),),
}  # fmt: skip

TABLES = (
    "a",
    "books",
    "items",
    "user",
    "Mixed",
    "order_lines",
    "two words",
    "größe",
    "events",
    "t_long_name_of_a_table",
)
COLUMNS = (
    "name",
    "email",
    "order",
    "amount",
    "Camel",
    "note",
    "state",
    "with space",
    "größe",
    "created_at",
    "x",
    "y",
    "flag",
    "code",
    "data",
    "per cent",
    "select",
)
SCHEMAS = ("app", "Odd Schema")
COMMENTS = (
    "what it is",
    "it's 100% 'quoted'",
    'with "quotes" and \\ backslash',
    "a:b {c}\nand a line",
)
LABELS = ("new", "open", "done", "gone, really", "it's", "50%", "A", "b:c")
