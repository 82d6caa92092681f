"""A database that holds tables before the first revision: this service's, or somebody else's."""

from __future__ import annotations

import json

import pytest

from db_ops.migrations.revisions.created_tables import created_tables
from tests.support.project import Project, query
from tests.support.schemas import validated

FAILED, DIFFERENT = 1, 3
ONE = """
class One(Base):
    __tablename__ = "one"
    __table_args__ = (sa.PrimaryKeyConstraint("id", name="one_pkey"),)
    id: Mapped[int] = mapped_column(autoincrement=False)
"""


@pytest.fixture
def shared(project: Project, server_url: str, database_name: str) -> Project:
    """A service without a revision applied, in a database that others use already."""
    project.table("0001", "one")
    project.models(ONE)
    query(server_url, f"CREATE DATABASE {database_name}")
    project.query("CREATE TABLE legacy (id int)")
    project.query("INSERT INTO legacy VALUES (1)")
    project.query("CREATE TABLE django_migrations (app text)")
    project.query("CREATE TABLE billing_version (version_num varchar(32))")
    project.env["DB_OPS_ENVIRONMENT"] = "production"
    return project


def test_tables_of_others_are_named_and_left_alone(shared: Project, door: str) -> None:
    outcome = shared.run("init", door=door).succeeded()
    assert "1 revision applied" in outcome.out
    others = "other tables are there and are left alone: public.billing_version, public.django_"
    assert others in outcome.err
    assert shared.query("SELECT id FROM legacy") == [(1,)]
    assert shared.query(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database"
        " WHERE datname = current_database()"
    ) == [(None,)]
    again = shared.run("init", door=door).succeeded()
    assert "other tables" not in again.err


def test_what_is_left_alone_is_in_the_log(shared: Project) -> None:
    shared.env["DB_OPS_LOG"] = "json"
    lines = [json.loads(line) for line in shared.run("init").succeeded().err.splitlines()]
    (told,) = [line for line in lines if line["event"] == "OtherTables"]
    assert "public.legacy" in told["tables"]


@pytest.mark.parametrize(
    "there",
    ["TABLE one (id int)", "VIEW one AS SELECT 1 AS id", "TABLE two (id int)"],
)
def test_tables_of_the_service_are_refused_with_both_ways_out(shared: Project, there: str) -> None:
    """`two` is in a revision and not in the models any more."""
    shared.table("0002", "two")
    shared.query(f"CREATE {there}")
    before = shared.fingerprint()
    outcome = shared.run("init").failed(FAILED)
    assert f"public.{there.split()[1]}" in outcome.error
    assert "legacy" not in outcome.error
    assert "stamp --find" in outcome.hint
    assert "another database in DATABASE_URL" in outcome.hint
    assert shared.fingerprint() == before


def test_revisions_that_nobody_can_read_are_built_where_that_may_be_done(shared: Project) -> None:
    shared.models("")
    (shared.root / "one.sql").write_text("CREATE TABLE three (id int)")
    shared.revision(
        "0002",
        f"from pathlib import Path\nop.execute(Path({str(shared.root)!r}, 'one.sql').read_text())",
    )
    outcome = shared.run("init").failed(FAILED)
    assert "what 0002.py creates is not known" in outcome.error
    shared.env["DB_OPS_ENVIRONMENT"] = "development"
    shared.query("CREATE TABLE three (id int)")
    assert "public.three" in shared.run("init").failed(FAILED).error
    shared.query("DROP TABLE three")
    shared.run("init").succeeded()


def test_verify_speaks_of_adopting_and_undoes_nothing(shared: Project, database_name: str) -> None:
    shared.env["DB_OPS_ENVIRONMENT"] = "development"
    shared.query("CREATE TABLE one (id int CONSTRAINT one_pkey PRIMARY KEY)")
    outcome = shared.run("verify")
    assert outcome.code == DIFFERENT
    assert (
        "no revision is recorded, and tables of this service are there: public.one" in outcome.out
    )
    assert "undo it" not in outcome.out
    assert "DROP" not in outcome.out
    assert "stamp --find" in outcome.out
    result = validated("verify.json", shared.run("verify", "--json").out)
    assert {one["kind"] for one in result["differences"]} == {"untracked"}
    # Without the tables of others, it is as the migrations make it: that was compared.
    for other in ("legacy", "django_migrations", "billing_version"):
        shared.query(f"DROP TABLE {other}")
    outcome = shared.run("verify")
    assert outcome.code == DIFFERENT
    assert "they are what the migrations make up to 0001" in outcome.out
    assert " stamp -r 0001" in outcome.out
    shared.run("stamp", "0001", "--confirm", database_name).succeeded()
    shared.run("verify").succeeded()


def test_verify_does_not_undo_what_others_had_there_before(shared: Project) -> None:
    shared.env["DB_OPS_ENVIRONMENT"] = "development"
    outcome = shared.run("verify")
    assert outcome.code == DIFFERENT
    assert "revision 0001 is not applied" in outcome.out
    assert "DROP" not in outcome.out


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("op.create_table('one', sa.Column('id', sa.Integer))", {"public.one"}),
        ("op.create_table('one', schema='app')", {"app.one"}),
        ("op.create_table(table_name='One')", {"public.One"}),
        ("op.rename_table('old', 'new')", {"public.new"}),
        ("op.execute('CREATE UNLOGGED TABLE IF NOT EXISTS App.One (id int)')", {"app.one"}),
        ("op.execute('create table \"My T\" ()')", {"public.My T"}),
        ("op.execute(sa.text('ALTER TABLE a RENAME TO b'))", {"public.b"}),
        ("op.execute('ALTER TABLE a RENAME COLUMN x TO y')", set()),
    ],
)
def test_what_a_revision_creates_is_read_from_its_text(
    project: Project, body: str, names: set[str]
) -> None:
    found = created_tables([project.revision("0001", body)], "public")
    assert (found.names, found.unread) == (names, ())


@pytest.mark.parametrize(
    "body",
    [
        "op.create_table(name)",
        "op.execute(open('one.sql').read())",
        "op.execute(f'CREATE TABLE {name} (id int)')",
        "op.execute('CREATE TABLE {} (id int)'.format(name))",
        "from somewhere import SQL\nop.execute(SQL)",
        "op.execute('DO $$ BEGIN EXECUTE x; END $$')",
    ],
)
def test_a_revision_that_cannot_be_read_is_said_to_be_one(project: Project, body: str) -> None:
    found = created_tables([project.revision("0001", body)], "public")
    assert found.unread == ("0001.py",)
