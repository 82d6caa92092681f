"""A right that a revision lacks is told with the owner, the grant and the way to act as owner."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from psycopg2 import sql

from tests.conftest import with_database, with_user
from tests.support.project import Project, query

FAILED = 1
OBJECTS = """
    CREATE TABLE account (id serial PRIMARY KEY, name text);
    CREATE INDEX ix_account ON account (name);
    CREATE VIEW accounts AS SELECT * FROM account;
    CREATE TYPE mood AS ENUM ('sad');
    CREATE DOMAIN positive AS int CHECK (VALUE > 0);
    CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';
    REVOKE EXECUTE ON FUNCTION one() FROM PUBLIC;
    CREATE SEQUENCE counter;
    CREATE SCHEMA billing;
    CREATE TABLE "Odd name" (id int);
    CREATE TABLE guarded (id int);
    ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
"""


@pytest.fixture
def owner(server_url: str, role: str) -> Iterator[str]:
    """A role that owns what the project's own role may not touch."""
    name = f"{role}_owner"
    query(server_url, sql.SQL("CREATE ROLE {}").format(sql.Identifier(name)))
    yield name
    query(server_url, sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.fixture
def owned(migrated: Project, role: str, owner: str) -> Iterator[Project]:
    """A project whose role may create tables, in a database with an owner's objects."""
    admin = migrated.url
    migrated.query(
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role};"
        f" GRANT CREATE, USAGE ON SCHEMA public TO {role}, {owner};"
        f" GRANT CREATE ON DATABASE {migrated.url.rpartition('/')[2]} TO {owner};"
        f" SET ROLE {owner}; {OBJECTS}"
        f" GRANT ALL ON guarded TO {role}; RESET ROLE; ALTER TABLE one OWNER TO {role};"
    )
    migrated.url = with_user(migrated.url, role, "role_secret")
    migrated.env["DB_OPS_RECORDS"] = "0"
    yield migrated
    query(admin, f"DROP OWNED BY {owner}, {role} CASCADE")


CASES = [
    ("ALTER TABLE account ADD COLUMN x int", "ALTER TABLE account OWNER TO {role}"),
    ("DROP INDEX ix_account", "ALTER TABLE account OWNER TO {role}"),
    ("CREATE INDEX ON account (name)", "ALTER TABLE account OWNER TO {role}"),
    ("DROP VIEW accounts", "ALTER VIEW accounts OWNER TO {role}"),
    ("ALTER TYPE mood ADD VALUE ''x''", "ALTER TYPE mood OWNER TO {role}"),
    ("ALTER DOMAIN positive DROP NOT NULL", "ALTER DOMAIN positive OWNER TO {role}"),
    ("DROP FUNCTION one()", "ALTER FUNCTION one() OWNER TO {role}"),
    ("SELECT one()", "GRANT EXECUTE ON FUNCTION one() TO {role}"),
    ("DROP SEQUENCE counter", "ALTER SEQUENCE counter OWNER TO {role}"),
    ("ALTER SEQUENCE account_id_seq CACHE 5", "ALTER TABLE account OWNER TO {role}"),
    ("CREATE TABLE billing.x ()", "GRANT USAGE, CREATE ON SCHEMA billing TO {role}"),
    ("UPDATE account SET name = ''x''", "GRANT ALL ON TABLE account TO {role}"),
    ('ALTER TABLE "Odd name" ADD COLUMN x int', 'ALTER TABLE "Odd name" OWNER TO {role}'),
    ("INSERT INTO guarded VALUES (1)", "ALTER ROLE {role} BYPASSRLS"),
    ("CREATE EXTENSION file_fdw", "as a superuser, in this database: CREATE EXTENSION"),
    ("CREATE EXTENSION hstore", "GRANT CREATE ON DATABASE {database} TO {role}"),
    ("CREATE SCHEMA mine", "GRANT CREATE ON DATABASE {database} TO {role}"),
    ("CREATE ROLE somebody", "ALTER ROLE {role} CREATEROLE"),
]


def test_a_refused_statement_names_the_owner_and_what_gives_the_right(
    owned: Project, owner: str, role: str
) -> None:
    database = owned.url.rpartition("/")[2]
    for statement, remedy in CASES:
        body = f"op.execute('{statement}')".replace("''", "\\'")
        owned.revision("0004", body, down_revision="0003")
        outcome = owned.run("upgrade").failed(FAILED)
        assert "0004.py:14: upgrade of 0004 failed: " in outcome.error, outcome.err
        assert remedy.format(role=role, database=database) in outcome.hint, outcome.err
        assert "correct" not in outcome.hint
        if "OWNER TO" in remedy or "GRANT ALL" in remedy:
            assert f" belongs to {owner}; " in outcome.hint
            assert f"GRANT {owner} TO {role}" in outcome.hint
            assert f"set DB_OPS_ROLE={owner}" in outcome.hint


def test_the_hint_works_as_it_is_typed(
    owned: Project, owner: str, role: str, server_url: str, database_name: str
) -> None:
    owned.revision("0004", "op.execute('ALTER TABLE account ADD COLUMN x int')")
    hint = owned.run("upgrade").failed(FAILED).hint
    query(server_url, f"GRANT {owner} TO {role}")
    option = hint.partition("put ")[2].partition(" into")[0]
    query(with_database(server_url, database_name), f"GRANT ALL ON alembic_version TO {owner}")
    owned.url += f"?{option}"
    owned.run("upgrade").succeeded()
    assert "x" in {row[1] for row in owned.schema() if row[0] == "account"}
