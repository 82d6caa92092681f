"""What migrations and models make, built in scratch databases and read."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from db_ops.builds.built_schema import BuiltSchema, build_migrations_schema, build_models_schema
from db_ops.builds.scratch import ScratchDatabases
from db_ops.errors import NoScratchDatabase
from db_ops.results import ignore
from db_ops.settings import DatabaseUrl, Settings
from db_ops.target.target import open_target
from db_ops.verification.verdict import judge
from tests.conftest import with_user
from tests.support.project import Project, query


@pytest.fixture
def creator(server_url: str, role: str, project: Project) -> Project:
    """A project whose role owns what it makes, so that nobody else's databases are looked at."""
    query(server_url, f"ALTER ROLE {role} CREATEDB")
    project.url = with_user(project.url, role, "role_secret")
    return project


def scratch_of(
    project: Project, environment: str = "development", **options: Any
) -> ScratchDatabases:
    url = DatabaseUrl.parse(project.url)
    settings = Settings(
        project.root / "alembic.ini", url, declared_environment=environment, **options
    )
    return ScratchDatabases(open_target(settings, "verify", ignore))


def both(project: Project, metadata: Any) -> tuple[BuiltSchema, BuiltSchema]:
    with scratch_of(project) as scratch:
        migrations = build_migrations_schema(scratch)
        return migrations, build_models_schema(scratch, metadata, migrations.schema)


def kept(project: Project) -> set[str]:
    """Return the kinds of databases of our own that the project's role has on the server."""
    rows = query(
        project.url.rpartition("/")[0] + "/postgres",
        "SELECT DISTINCT split_part(datname, '_', 3) FROM pg_database"
        " WHERE datname LIKE 'db\\_ops\\_%%' AND pg_get_userbyid(datdba) = current_user",
    )
    return {str(kind) for (kind,) in rows}


def test_migrations_are_built_without_a_database_and_kept_as_a_template(creator: Project) -> None:
    creator.table("0001", "one")
    with scratch_of(creator) as scratch:
        side = build_migrations_schema(scratch)
    assert ("table", "public.one") in side.schema.objects
    assert ("table", "public.alembic_version") not in side.schema.objects
    assert side.source == "template"
    assert kept(creator) == {"template"}


def test_in_production_migrations_run_and_nothing_is_kept(creator: Project) -> None:
    creator.table("0001", "one")
    with scratch_of(creator, "production") as scratch:
        assert ("table", "public.one") in build_migrations_schema(scratch).schema.objects
    assert kept(creator) == set()


def test_models_are_built_as_sqlalchemy_builds_them(creator: Project) -> None:
    creator.revision(
        "0001",
        "op.execute('CREATE TABLE one (id serial PRIMARY KEY, name varchar(5) NOT NULL)')\n"
        "op.execute('CREATE INDEX ix_one ON one (lower(name))')",
    )
    metadata = sa.MetaData()
    one = sa.Table(
        "one",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(5), nullable=False),
    )
    sa.Index("ix_one", sa.func.lower(one.c.name))
    migrations, models = both(creator, metadata)
    assert judge(models.schema, migrations.schema, migrations.schema).agreed
    assert models.unchecked == ()
    assert kept(creator) == {"template"}


def test_several_metadata_are_one_side(creator: Project) -> None:
    creator.revision(
        "0001", "op.execute('CREATE TABLE a (x int)')\nop.execute('CREATE TABLE b (x int)')"
    )
    several = [sa.MetaData(), sa.MetaData()]
    for name, metadata in zip("ab", several, strict=True):
        sa.Table(name, metadata, sa.Column("x", sa.Integer))
    migrations, models = both(creator, several)
    assert judge(models.schema, migrations.schema, migrations.schema).agreed


def test_what_models_refer_to_and_cannot_make_is_taken_from_the_migrations(
    project: Project,
) -> None:
    project.revision(
        "0001",
        "for statement in ("
        "'CREATE SCHEMA shop',"
        "'CREATE EXTENSION citext SCHEMA shop',"
        "\"CREATE TYPE state AS ENUM ('new', 'old')\","
        "\"CREATE FUNCTION first_state() RETURNS state LANGUAGE sql AS $$ SELECT 'new'::state $$\","
        "'CREATE TABLE shop.one (name shop.citext, state state DEFAULT first_state())',"
        "): op.execute(statement)",
    )
    metadata = sa.MetaData()
    state = postgresql.ENUM("new", "old", name="state", create_type=False)
    sa.Table(
        "one",
        metadata,
        sa.Column("name", postgresql.CITEXT),
        sa.Column("state", state, server_default=sa.text("first_state()")),
        schema="shop",
    )
    metadata.tables["shop.one"].c.name.type = _InSchema()
    migrations, models = both(project, metadata)
    assert models.unchecked == ()
    assert judge(models.schema, migrations.schema, migrations.schema).agreed


class _InSchema(sa.types.UserDefinedType[str]):
    """The type of an extension that lives in a schema of its own."""

    def get_col_spec(self) -> str:
        return "shop.citext"


def test_a_model_that_stands_for_a_view_is_not_built(creator: Project) -> None:
    creator.revision("0001", "op.execute('CREATE VIEW seen AS SELECT 1 AS id')")
    metadata = sa.MetaData()
    sa.Table("seen", metadata, sa.Column("id", sa.Integer))
    migrations, models = both(creator, metadata)
    assert models.skipped == ("public.seen",)
    assert judge(models.schema, migrations.schema, migrations.schema).agreed


def test_what_the_server_refuses_to_build_is_named_and_not_compared(creator: Project) -> None:
    creator.revision(
        "0001", "op.execute('CREATE TABLE a (x int)')\nop.execute('CREATE TABLE b (x int)')"
    )
    metadata = sa.MetaData()
    sa.Table("a", metadata, sa.Column("x", sa.Integer, server_default=sa.text("no_such()")))
    sa.Table("b", metadata, sa.Column("x", sa.BigInteger))
    migrations, models = both(creator, metadata)
    (said,) = models.unchecked
    assert "CREATE TABLE a" in said
    assert "no_such() does not exist" in said
    (found,) = judge(models.schema, migrations.schema, migrations.schema).disagreements
    assert found.subject == "column public.b.x: type"


def test_a_role_that_may_not_create_databases_is_told_what_would_help(
    server_url: str, role: str, migrated: Project
) -> None:
    migrated.url = with_user(migrated.url, role, "role_secret")
    with scratch_of(migrated) as scratch, pytest.raises(NoScratchDatabase) as raised:
        build_migrations_schema(scratch)
    assert f"role {role!r} may not create databases" in raised.value.message
    assert "CREATEDB" in raised.value.hint
    assert "DB_OPS_SCRATCH_URL" in raised.value.hint


def test_another_server_is_built_on_where_one_is_named(
    server_url: str, role: str, migrated: Project
) -> None:
    migrated.url = with_user(migrated.url, role, "role_secret")
    elsewhere = DatabaseUrl.parse(server_url)
    with scratch_of(migrated, scratch_url=elsewhere) as scratch:
        assert ("table", "public.three") in build_migrations_schema(scratch).schema.objects


def test_what_a_killed_process_left_is_dropped(creator: Project) -> None:
    creator.table("0001", "one")
    left = f"db_ops_scratch_{uuid.uuid4().hex[:16]}"
    query(creator.url.rpartition("/")[0] + "/postgres", f"CREATE DATABASE {left}")
    with scratch_of(creator) as scratch:
        build_migrations_schema(scratch)
    assert kept(creator) == {"template"}
