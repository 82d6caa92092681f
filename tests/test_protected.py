"""Commands that only look, pointed at a protected database: its server stays as it is."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import psycopg2
import pytest

from db_ops.postgres.embedded import EmbeddedServer
from tests.support.project import Project, query
from tests.test_shared_state import HIDDEN

MODELS = """
class One(Base):
    __tablename__ = "one"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(server_default="new")
"""
CREATES = """
op.create_table(
    "one",
    sa.Column("id", sa.Integer, nullable=False),
    sa.Column("state", sa.String, server_default="new", nullable=False),
    sa.PrimaryKeyConstraint("id", name="pk_one"),
)
"""


@pytest.fixture
def protected(project: Project) -> Project:
    """A production database at the head, in agreement with its models."""
    project.models(MODELS)
    project.revision("0001", CREATES, "op.drop_table('one')")
    project.env["DB_OPS_ENVIRONMENT"] = "production"
    project.run("init").succeeded()
    return project


@pytest.fixture
def alone(protected: Project) -> Project:
    """The same on a machine where no server can be started beside it."""
    (protected.root / ".db_ops").write_text("not a folder")
    return protected


@pytest.fixture
def embedded(protected: Project) -> Iterator[EmbeddedServer]:
    (found,) = protected.query("SELECT current_setting('server_version_num')::int / 10000")
    yield EmbeddedServer(protected.root / ".db_ops", major=int(str(found[0])))
    protected.run("stop")


def test_revisions_and_models_run_on_an_embedded_server_instead(
    protected: Project, embedded: EmbeddedServer
) -> None:
    assert "models, migrations and database agree" in protected.run("verify").succeeded().out
    role = f"made_by_{uuid.uuid4().hex[:12]}"
    protected.revision("0002", HIDDEN)
    protected.models(MODELS + "    note: Mapped[str]\n")
    sql = protected.root / "alembic" / "versions" / "roles.txt"
    sql.write_text(f"DO $$ BEGIN CREATE ROLE {role}; END $$")
    before = protected.fingerprint()
    outcome = protected.run("upgrade", "--plan").succeeded()
    assert "CREATE ROLE" in outcome.out
    assert protected.run("upgrade", "--sql").succeeded().out
    protected.run("downgrade", "--plan").succeeded()
    protected.run("downgrade").failed(4)
    assert protected.run("verify").code == 3
    # It is tried again with other rows, in a database that the older revisions make.
    written = protected.run("create-migration", "-m", "note").succeeded()
    assert "refused: upgrade, where one has rows" in written.out
    assert query(protected.url, "SELECT 1 FROM pg_roles WHERE rolname = %s", role) == []
    assert protected.fingerprint() == before
    with psycopg2.connect(**embedded.connection_parameters(), dbname="postgres") as there:
        cursor = there.cursor()
        cursor.execute("SELECT count(*) FROM pg_roles WHERE rolname = %s", (role,))
        assert cursor.fetchone() == (0,)
    there.autocommit = True
    cursor.execute("CREATE DATABASE precious")
    cursor.execute("COMMENT ON DATABASE precious IS 'db_ops environment: production'")
    there.close()
    outcome = protected.run("upgrade", "--plan").failed(1)
    assert "the embedded server holds the database 'precious', marked production" in outcome.error


def test_where_nothing_can_be_built_a_plan_is_refused_and_says_what_to_set(alone: Project) -> None:
    alone.table("0002", "two")
    for command in (("upgrade", "--plan"), ("upgrade", "--sql"), ("downgrade", "--plan")):
        outcome = alone.run(*command).failed(1)
        assert "the environment is production" in outcome.error
        assert "DB_OPS_SCRATCH_URL" in outcome.hint
    outcome = alone.run("create-migration", "-m", "more").failed(1)
    assert "agree" not in outcome.out + outcome.err
    assert "DB_OPS_SCRATCH_URL" in outcome.hint


def test_a_partial_comparison_says_so_first_and_counts_on_the_record(alone: Project) -> None:
    first, second, *_ = alone.run("verify").succeeded().out.splitlines()
    assert "compared in part only: ONLY ALEMBIC'S REFLECTION WAS COMPARED" in first
    assert "models, migrations and database agree" not in second
    assert "the catalogs are as they were recorded" in second
    document = json.loads(alone.run("verify", "--json").succeeded().out)
    assert document["partial"]
    assert document["drift"]["state"] == "equal"
    # Not seen by `alembic check`, which looks at no trigger and no view.
    alone.query("CREATE VIEW names AS SELECT 1 AS n")
    outcome = alone.run("verify")
    assert outcome.code == 3
    assert "compared in part only" in outcome.out.splitlines()[0]
    assert "proves no agreement" in outcome.out.splitlines()[1]
    alone.query("DROP VIEW names")
    alone.query("DROP SCHEMA db_ops CASCADE")
    outcome = alone.run("verify")
    assert outcome.code == 3
    assert "nothing is recorded" in outcome.out


def test_a_scratch_url_that_leads_back_to_the_server_is_refused(
    alone: Project, server_url: str
) -> None:
    alone.env["DB_OPS_SCRATCH_URL"] = server_url
    alone.table("0002", "two")
    outcome = alone.run("upgrade", "--plan").failed(1)
    assert "DB_OPS_SCRATCH_URL is that server or a copy of it" in outcome.error
    assert "another server" in outcome.hint


def test_a_database_marked_as_production_is_protected_whatever_the_settings_say(
    alone: Project,
) -> None:
    del alone.env["DB_OPS_ENVIRONMENT"]
    alone.table("0002", "two")
    outcome = alone.run("upgrade", "--plan").failed(1)
    assert "the database is marked production" in outcome.error
    assert "compared in part only" in alone.run("verify").out.splitlines()[0]
