"""Models, migrations and database judged: who has what, and what settles it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
import sqlalchemy as sa
from psycopg2.extensions import connection as Connection

from db_ops.postgres.schema.objects import Schema
from db_ops.postgres.schema.reading import read_schema
from db_ops.settings import DatabaseUrl
from db_ops.verification.verdict import Disagreement, judge
from tests.conftest import with_database
from tests.support.project import query

BASE = """
    CREATE TABLE agents (
        id serial PRIMARY KEY, name varchar(50) NOT NULL, state text DEFAULT 'new',
        CONSTRAINT ck_agents_name CHECK (name <> '')
    );
    CREATE INDEX ix_agents_name ON agents (name);
    CREATE TABLE events (id integer, at date) PARTITION BY RANGE (at);
"""
ONLY_IN_MIGRATIONS = """
    CREATE VIEW names AS SELECT name FROM agents;
    CREATE FUNCTION one() RETURNS integer LANGUAGE sql AS 'SELECT 1';
    ALTER TABLE agents ENABLE ROW LEVEL SECURITY;
    CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n FROM agents;
    CREATE INDEX ix_totals ON totals (n);
    CREATE EXTENSION citext;
"""
CREATE, UPGRADE = "db-ops create-migration -m MESSAGE", "db-ops upgrade"


class Builder:
    """Builds schemas in transactions that are rolled back."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __call__(self, *statements: str) -> Schema:
        with self._connection.cursor() as cursor:
            cursor.execute("; ".join(statements))
        schema = read_schema(self._connection)
        self._connection.rollback()
        return schema

    def models(self, *changes: str) -> Schema:
        return self(BASE, *changes)

    def migrations(self, *changes: str) -> Schema:
        return self(BASE, ONLY_IN_MIGRATIONS, *changes)


@pytest.fixture
def build(server_url: str, database_name: str, new_database_url: str) -> Iterator[Builder]:
    """Builds the schema that statements make, in a database of the test's own."""
    query(server_url, f"CREATE DATABASE {database_name}")
    parameters = DatabaseUrl.parse(with_database(server_url, database_name)).parameters
    with closing(psycopg2.connect(**parameters)) as connection:
        yield Builder(connection)


def only(disagreements: tuple[Disagreement, ...]) -> Disagreement:
    (disagreement,) = disagreements
    return disagreement


def test_sides_that_agree_disagree_on_nothing(build: Builder) -> None:
    assert judge(build.models(), build.migrations(), build.migrations()).agreed


def test_models_ahead_of_migrations_ask_for_a_migration(build: Builder) -> None:
    models = build.models("ALTER TABLE agents ADD age integer")
    found = only(judge(models, build.migrations(), build.migrations()).disagreements)
    assert (found.cause, found.subject) == ("models", "column public.agents.age")
    assert found.values == {"models": "integer", "migrations": None, "database": None}
    assert found.remedies == (CREATE,)


def test_what_only_migrations_have_and_models_could_express_is_named(build: Builder) -> None:
    migrations = build.migrations("CREATE TYPE orphan AS ENUM ('a')")
    found = only(judge(build.models(), migrations, migrations).disagreements)
    assert (found.cause, found.subject) == ("models", "enum public.orphan")
    assert found.values == {"models": None, "migrations": "'a'", "database": "'a'"}


def test_a_database_behind_asks_for_an_upgrade(build: Builder) -> None:
    new = "ALTER TABLE agents ADD age integer"
    verdict = judge(build.models(new), build.migrations(new), build.migrations(), behind=True)
    found = only(verdict.disagreements)
    assert (found.cause, found.remedies) == ("pending", (UPGRADE,))
    assert found.values == {"models": "integer", "migrations": "integer", "database": None}


def test_a_change_by_hand_comes_with_the_statement_that_undoes_it(build: Builder) -> None:
    database = build.migrations("ALTER TABLE agents ALTER state SET DEFAULT 'old'")
    found = only(judge(build.models(), build.migrations(), database).disagreements)
    assert (found.cause, found.subject) == ("database", "column public.agents.state: default")
    assert found.remedies == (
        "ALTER TABLE public.agents ALTER COLUMN state SET DEFAULT 'new'::text",
    )
    assert not found.loses_data


def test_an_undo_that_loses_data_says_so(build: Builder) -> None:
    database = build.migrations("ALTER TABLE agents ADD extra text")
    found = only(judge(build.models(), build.migrations(), database).disagreements)
    assert found.remedies == ("ALTER TABLE public.agents DROP COLUMN extra",)
    assert found.loses_data


def test_what_no_statement_is_certain_to_undo_says_so(build: Builder) -> None:
    database = build.migrations("DROP TABLE events")
    found = only(judge(build.models(), build.migrations(), database).disagreements)
    assert found.subject == "table public.events"
    assert "by hand" in found.remedies[0]


def test_a_difference_of_all_three_is_named_once(build: Builder) -> None:
    models, database = (
        build.models("ALTER TABLE agents ALTER state SET DEFAULT 'a'"),
        build.migrations("ALTER TABLE agents ALTER state SET DEFAULT 'b'"),
    )
    found = only(judge(models, build.migrations(), database).disagreements)
    assert found.cause == "models"
    assert found.values == {
        "models": "'a'::text",
        "migrations": "'new'::text",
        "database": "'b'::text",
    }
    assert found.remedies == (
        CREATE,
        "ALTER TABLE public.agents ALTER COLUMN state SET DEFAULT 'new'::text",
    )


def test_models_and_database_that_agree_without_migrations_are_told_apart(build: Builder) -> None:
    new = "ALTER TABLE agents ADD age integer"
    verdict = judge(build.models(new), build.migrations(), build.migrations(new))
    assert only(verdict.disagreements).cause == "migrations"


@pytest.mark.parametrize(
    ("change", "subject"),
    [
        ("DROP VIEW names", "view public.names"),
        ("DROP FUNCTION one()", "function public.one()"),
        ("DROP INDEX ix_totals", "index public.ix_totals"),
        ("ALTER TABLE agents DISABLE ROW LEVEL SECURITY", "table public.agents: row security"),
        ("DROP EXTENSION citext", "extension citext"),
    ],
)
def test_what_models_cannot_express_is_compared_with_the_migrations_alone(
    build: Builder, change: str, subject: str
) -> None:
    database = build.migrations(change)
    found = only(judge(build.models(), build.migrations(), database).disagreements)
    assert (found.cause, found.subject) == ("database", subject)
    assert "models" not in found.values or found.kind == "index"


def test_models_that_could_not_be_looked_at_are_left_out(build: Builder) -> None:
    database = build.migrations("ALTER TABLE agents DROP state")
    found = only(judge(None, build.migrations(), database).disagreements)
    assert found.values == {"migrations": "text", "database": None}


def test_an_invalid_index_is_reported_on_its_own(build: Builder) -> None:
    database = build.migrations(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_agents_name'::regclass"
    )
    found = only(judge(build.models(), build.migrations(), database).disagreements)
    assert (found.cause, found.subject) == ("invalid", "index public.ix_agents_name: validity")
    assert found.remedies == ("REINDEX INDEX CONCURRENTLY public.ix_agents_name",)


def test_an_invalid_index_that_nobody_else_has_is_named_once(build: Builder) -> None:
    database = build.migrations(
        "CREATE INDEX ix_left ON agents (state)",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_left'::regclass",
    )
    found = only(judge(build.models(), build.migrations(), database).disagreements)
    assert found.remedies == ("DROP INDEX public.ix_left",)


def test_a_constraint_that_was_never_validated_is_reported_although_all_agree(
    build: Builder,
) -> None:
    new = "ALTER TABLE agents ADD CONSTRAINT ck_later CHECK (state <> '') NOT VALID"
    verdict = judge(build.models(new), build.migrations(new), build.migrations(new))
    found = only(verdict.disagreements)
    assert (found.cause, found.name) == ("not valid", "public.agents.ck_later")
    assert found.remedies == ("ALTER TABLE public.agents VALIDATE CONSTRAINT ck_later",)


@pytest.mark.parametrize(
    "pattern",
    [
        "public.agents.state",
        "public.agents",
        "public.*",
        "column public.agents.state",
        "column public.agents.state: default",
        "column *: default",
    ],
)
def test_what_a_pattern_names_is_silenced_and_listed(build: Builder, pattern: str) -> None:
    database = build.migrations("ALTER TABLE agents ALTER state SET DEFAULT 'old'")
    verdict = judge(build.models(), build.migrations(), database, ignore=["other", pattern])
    assert verdict.agreed
    ((silenced, reason),) = verdict.silenced
    assert silenced.subject == "column public.agents.state: default"
    assert reason == f"ignored by {pattern!r}"


def test_a_pattern_silences_nothing_else(build: Builder) -> None:
    database = build.migrations("ALTER TABLE agents ALTER state SET DEFAULT 'old'")
    ignore = ["public.agents.name", "index *", "agents", "column public.agents.state: type"]
    assert not judge(build.models(), build.migrations(), database, ignore=ignore).agreed


def test_partitions_are_silenced_and_listed(build: Builder) -> None:
    database = build.migrations(
        "CREATE TABLE events_2025 PARTITION OF events"
        " FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')"
    )
    verdict = judge(build.models(), build.migrations(), database)
    assert verdict.agreed
    assert [reason for _, reason in verdict.silenced] == ["it belongs to a partition"]


def test_what_create_all_makes_is_what_the_statements_make(
    build: Builder, new_database_url: str
) -> None:
    metadata = sa.MetaData()
    sa.Table(
        "agents",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(50), nullable=False, index=True),
        sa.Column("state", sa.Text, server_default="new"),
        sa.CheckConstraint("name <> ''", name="ck_agents_name"),
    )
    sa.Table(
        "events",
        metadata,
        sa.Column("id", sa.Integer, autoincrement=False),
        sa.Column("at", sa.Date),
        postgresql_partition_by="RANGE (at)",
    )
    migrations = build.migrations()
    parameters = DatabaseUrl.parse(new_database_url).parameters
    engine = sa.create_engine(
        "postgresql+psycopg2://", creator=lambda: psycopg2.connect(**parameters)
    )
    metadata.create_all(engine)
    engine.dispose()
    with closing(psycopg2.connect(**parameters)) as connection:
        models = read_schema(connection)
    assert judge(models, migrations, migrations).agreed
