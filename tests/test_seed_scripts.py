"""Seeds that are SQL files: read as psql reads them, each error with its line."""

from __future__ import annotations

import pytest

from db_ops.postgres.sql_script import split_script
from tests.support.project import Project
from tests.test_seeds import FUNCTION, name_seeds, write

# As pg_dump --data-only writes it, and a function after it that names its table as it always does.
DUMP = r"""--
-- PostgreSQL database dump
--
\restrict Zx9
SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);
SET row_security = off;

COPY public.texts (id, text) FROM stdin;
1	a;b
2	\N
3	tab\there \\. and $$
\.


SELECT pg_catalog.setval('public.texts_id_seq', 3, true);
\unrestrict Zx9
"""
SPLIT = {
    "two": ("SELECT 1; SELECT 2", ["SELECT 1", "SELECT 2"]),
    "string": ("SELECT 'a;''b'; SELECT 2;", ["SELECT 'a;''b'", "SELECT 2"]),
    "escape string": (r"SELECT E'\';'; SELECT 2;", [r"SELECT E'\';'", "SELECT 2"]),
    "identifier": ('SELECT 1 AS "a;""b";', ['SELECT 1 AS "a;""b"']),
    "dollars": ("DO $x$ $$;$$; $x$; SELECT 2;", ["DO $x$ $$;$$; $x$", "SELECT 2"]),
    "no dollars": ("SELECT a$b$c; SELECT $1;", ["SELECT a$b$c", "SELECT $1"]),
    "comments": ("/* ; /* ; */ */ SELECT 1 -- ;\n; -- no more;", ["SELECT 1 -- ;"]),
    "rule": ("CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3;", None),
    "atomic": (
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END;"
        " SELECT 3;",
        None,
    ),
}


@pytest.mark.parametrize(("script", "expected"), SPLIT.values(), ids=SPLIT)
def test_a_script_is_split_where_psql_splits_it(script: str, expected: list[str] | None) -> None:
    texts = [statement.text for statement in split_script(script)]
    if expected is None:
        assert (len(texts), texts[-1]) == (2, "SELECT 3")
    else:
        assert texts == expected


@pytest.fixture
def scripted(migrated: Project) -> Project:
    """A project at head with a table for texts, whose seed is `seed.sql`."""
    migrated.query("CREATE TABLE texts (id serial PRIMARY KEY, text text)")
    name_seeds(migrated, "seed.sql")
    return migrated


def test_a_dump_is_loaded_and_what_it_sets_ends_with_it(scripted: Project) -> None:
    write(scripted, "seed.sql", DUMP)
    write(scripted, "seeds.py", FUNCTION)
    name_seeds(scripted, "seed.sql", "seeds:seed")
    outcome = scripted.run("seed").succeeded()
    assert "lags behind" not in outcome.err
    rows = scripted.query("SELECT text FROM texts ORDER BY id")
    assert rows == [("a;b",), (None,), ("tab\there \\. and $$",)]
    assert scripted.query("SELECT count(*) FROM one") == [(3,)]


FAILING = {
    "a statement": ("-- one\n\nSELECT 1;\nSELECT\n  oops;\n", 5, 'column "oops" does not exist'),
    "a constraint": (
        "INSERT INTO texts VALUES (1);\n\nINSERT INTO texts\nVALUES (1);\n",
        3,
        "duplicate key value",
    ),
    "a row": ("COPY texts (id) FROM stdin;\n1\n2\nx\n\\.\n", 4, "invalid input syntax"),
    "an include": ("SELECT 1;\n\\i other.sql\n", 2, "\\i is a command of psql's, not SQL"),
    "a variable": ("\\set ON_ERROR_STOP on\n\\set x 1\n", 2, "\\set is a command of psql's"),
    "a rollback": ("SELECT 1;\nROLLBACK;\n", 2, "it would end the transaction of all seeds"),
    "a string": ("SELECT 1;\nSELECT 'a;\n", 2, "the string that begins here has no end"),
}


@pytest.mark.parametrize(("script", "line", "said"), FAILING.values(), ids=FAILING)
def test_what_cannot_be_run_is_named_with_its_line_and_nothing_is_written(
    scripted: Project, script: str, line: int, said: str
) -> None:
    write(scripted, "seed.sql", script)
    outcome = scripted.run("seed").failed(1)
    assert outcome.error.startswith(f"seed.sql:{line}: seed seed.sql failed: {said}")
    assert scripted.query("SELECT * FROM texts") == []


def test_a_file_that_is_not_utf_8_is_named_with_its_line(scripted: Project) -> None:
    (scripted.root / "seed.sql").write_bytes(b"SELECT 1;\nSELECT '\xe9';\n")
    assert scripted.run("seed").failed(1).error.startswith("seed.sql:2: ")
