"""A schema as SQL: nothing that decides it is missing, and a server makes the same of it again."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from db_ops.postgres.schema.normalization import without_own_prefix
from db_ops.postgres.schema.objects import Schema
from db_ops.postgres.schema.reading import read_schema
from db_ops.postgres.schema.script import schema_script
from tests.conftest import drop, with_database
from tests.support.changes import BASE
from tests.support.project import query
from tests.test_schema import connect

MORE = """
CREATE TABLE counted (id bigserial, kind state NOT NULL) PARTITION BY LIST (kind);
CREATE TABLE counted_live PARTITION OF counted FOR VALUES IN ('live');
CREATE SEQUENCE small_id_seq;
CREATE TABLE small (id bigserial PRIMARY KEY WITH (fillfactor = 70), doubled integer);
ALTER SEQUENCE small_id_seq1 AS integer MAXVALUE 2147483647;
CREATE FUNCTION double(value integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT value * 2';
ALTER TABLE small ADD CHECK (double(doubled) > 0);
ALTER TABLE small REPLICA IDENTITY FULL, ALTER doubled SET STATISTICS 7, SET (fillfactor = 60);
CREATE VIEW a_view AS SELECT * FROM (SELECT a.id, a.name FROM agents a) AS inner_one;
CREATE VIEW above AS SELECT v.id FROM z_view_of v;
"""
# Of the version of a server, or made and dropped by jobs.
LEFT_OUT = {("extension", "version"), ("extension", "comment")}
# Every database has it.
PLPGSQL = ("extension", "plpgsql")
OTHERS = {
    "NULL": "NOT NULL",
    "NOT NULL": "NULL",
    "true": "false",
    "enabled": "disabled",
    "permanent": "unlogged",
    "NOT VALID": "valid",
    "function": "inout",
}


def read(url: str) -> Schema:
    with closing(connect(url)) as connection:
        return read_schema(connection)


@pytest.fixture(scope="module")
def everything(server_url: str) -> Iterator[tuple[str, Schema]]:
    """What a database holds that has something of every kind, and the URL of an empty one."""
    one, two = (f"t_{uuid.uuid4().hex[:12]}" for _ in range(2))
    for name in (one, two):
        query(server_url, f"CREATE DATABASE {name}")
    later = "CREATE VIEW z_view_of AS SELECT id FROM agents WHERE id > 1;"
    query(with_database(server_url, one), BASE + later + MORE)
    yield with_database(server_url, two), read(with_database(server_url, one))
    for name in (one, two):
        drop(server_url, name)


def test_a_server_makes_the_same_schema_of_the_script(everything: tuple[str, Schema]) -> None:
    url, schema = everything
    script = schema_script(schema)
    query(url, script)
    # What is told in comments is made by no statement.
    made = [part for part in script.rstrip().split("\n\n") if not part.startswith("-- ")]
    assert schema_script(read(url)).rstrip().split("\n\n") == made


def test_every_attribute_of_every_object_is_in_the_script(everything: tuple[str, Schema]) -> None:
    schema = everything[1]
    script = schema_script(schema)
    unseen = []
    for key, one in schema.objects.items():
        for name, value in one.attributes.items() if key != PLPGSQL else ():
            other = OTHERS.get(value, f"{value}, 'x'" if one.kind == "enum" else f"{value}x")
            changed = replace(one, attributes={**one.attributes, name: other})
            again = schema_script(replace(schema, objects={**schema.objects, key: changed}))
            if again == script and (one.kind, name) not in LEFT_OUT:
                unseen.append((one.kind, one.name, name))
    assert {(kind, name) for kind, name, _ in unseen} == {("partition", "public.events_2025")}


def test_the_order_in_which_objects_are_read_is_no_difference(
    everything: tuple[str, Schema],
) -> None:
    schema = everything[1]
    objects = sorted(schema.objects.items(), key=lambda item: (item[0][0] != "column", item[0]))
    columns = [item for item in schema.objects.items() if item[0][0] == "column"]
    others = [item for item in reversed(objects) if item[0][0] != "column"]
    shuffled = replace(schema, objects=dict(others + columns))
    assert schema_script(shuffled) == schema_script(schema)


@pytest.mark.parametrize(
    "query",
    [
        'SELECT {a.}id, {a.}"B c" FROM public.a;',
        "SELECT {x.}id FROM public.a x WHERE ({x.}id > 1) ORDER BY {x.}id;",
        "SELECT ({a.}place).x, a.*::text AS t, 'a.id'::text AS u FROM public.a;",
        "SELECT {a.}id, ( SELECT max(b.n) FROM public.b WHERE (b.a = a.id)) AS m FROM public.a;",
        "SELECT (( SELECT max(b.n) FROM public.b) > {a.}n) AS more FROM public.a;",
        "SELECT {s.}n FROM ( SELECT a.n FROM public.a) s;",
        "WITH c AS ( SELECT a.n FROM public.a) SELECT {c.}n FROM c;",
        "SELECT {s.}n FROM generate_series(1, 2) s(n);",
        "SELECT EXTRACT(year FROM {a.}at) AS year FROM ONLY public.a;",
        "SELECT a.id FROM public.a, public.b;",
        "SELECT a.id FROM (public.a JOIN public.b ON ((a.id = b.id)));",
        "SELECT s.n FROM (( SELECT a.n FROM public.a) s JOIN public.b ON ((s.n = b.n)));",
        "SELECT a.id FROM public.a UNION SELECT b.id FROM public.b;",
        "SELECT 1 AS one;",
    ],
)
def test_a_view_is_worded_as_by_newer_servers(query: str) -> None:
    older, newer = re.sub("[{}]", "", query), re.sub("{.*?}", "", query)
    assert without_own_prefix(older) == newer
