"""`verify`, `status` and `url`: looking, never writing."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

from tests.conftest import with_user
from tests.support.project import Project, query

AGENT = """
class Agent(Base):
    __tablename__ = "agents"
    __table_args__ = (
        sa.CheckConstraint("length(name) > 0", name="name_not_empty"),
        {"comment": "agents"},
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(50), server_default="it's")
    settings: Mapped[dict] = mapped_column(sa.JSON, server_default="{}")
    number: Mapped[int] = mapped_column(sa.BigInteger, sa.Sequence("agent_number"),
        server_default=sa.text("nextval('agent_number')"))
"""


@pytest.fixture
def clean(project: Project) -> Project:
    """A project in which models, migrations and database agree."""
    project.models(AGENT)
    project.revision("0001", "op.execute('CREATE SEQUENCE agent_number')")
    project.prepare("init")
    project.prepare("create_migration", "create agents")
    project.prepare("upgrade")
    return project


def test_verify_of_a_clean_database_says_so(clean: Project, door: str) -> None:
    outcome = clean.run("verify", door=door).succeeded()
    assert "models, migrations and database agree" in outcome.out


def test_verify_writes_nothing_and_draws_no_number(clean: Project) -> None:
    before = clean.fingerprint(), clean.query("SELECT last_value, is_called FROM agent_number")
    clean.run("verify").succeeded()
    assert before == (
        clean.fingerprint(),
        clean.query("SELECT last_value, is_called FROM agent_number"),
    )


def test_verify_creates_no_version_table(project: Project) -> None:
    project.models(AGENT)
    project.run("init").succeeded()
    assert project.tables == []
    assert project.run("verify").code == 3
    assert project.tables == []


def test_verify_works_with_a_role_that_may_only_read(clean: Project, role: str) -> None:
    query(clean.url, f"GRANT pg_read_all_data TO {role}")
    clean.url = with_user(clean.url, role, "role_secret")
    clean.run("verify").succeeded()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("ALTER TABLE agents ADD COLUMN extra int", "remove column agents.extra"),
        ("ALTER TABLE agents ALTER name TYPE varchar(60)", "change type of agents.name"),
        ("ALTER TABLE agents ALTER name DROP NOT NULL", "change nullable of agents.name"),
        ("ALTER TABLE agents ALTER name SET DEFAULT 'it''s not'", "change server default"),
        ("ALTER TABLE agents ALTER settings DROP DEFAULT", "change server default"),
        ("CREATE INDEX ix_extra ON agents (name)", "remove index ix_extra"),
        ("CREATE TABLE extra (id int)", "remove table extra"),
        ("COMMENT ON TABLE agents IS 'other'", "comment of table agents"),
    ],
)
def test_verify_names_a_change_made_by_hand(clean: Project, statement: str, said: str) -> None:
    clean.query(statement)
    outcome = clean.run("verify")
    assert outcome.code == 3
    assert said in outcome.out
    assert outcome.err == ""


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("ALTER TABLE agents DROP CONSTRAINT ck_agents_name_not_empty", "add constraint"),
        ("ALTER TABLE agents ADD CONSTRAINT other CHECK (number > 0)", "remove constraint other"),
    ],
)
def test_verify_names_a_changed_check_constraint_or_says_that_it_cannot(
    clean: Project, statement: str, said: str
) -> None:
    clean.query(statement)
    outcome = clean.run("verify")
    if find_spec("alembic.ext"):
        assert outcome.code == 3
        assert said in outcome.out
    else:
        assert "this version of Alembic cannot" in outcome.out


def test_verify_names_pending_revisions_and_what_it_could_not_compare(clean: Project) -> None:
    clean.run("downgrade").succeeded()
    outcome = clean.run("verify")
    assert outcome.code == 3
    assert "is not applied: create agents" in outcome.out
    assert "models were not compared" in outcome.out


def test_verify_of_a_missing_database_differs(project: Project, door: str) -> None:
    outcome = project.run("verify", door=door)
    assert outcome.code == 3
    assert "does not exist" in outcome.out


def test_verify_names_several_heads_and_unknown_revisions(migrated: Project) -> None:
    migrated.revision("0004a", down_revision="0003")
    migrated.revision("0004b", down_revision="0003")
    assert "0004a, 0004b" in migrated.run("verify").out
    for path in migrated.revision_files[2:]:
        path.unlink()
    outcome = migrated.run("verify")
    assert outcome.code == 3
    assert "0003, which this checkout does not have" in outcome.out


def test_verify_as_json_names_every_difference(clean: Project) -> None:
    clean.query("ALTER TABLE agents ADD COLUMN extra int")
    outcome = clean.run("verify", "--json")
    result = json.loads(outcome.out)
    assert result["exit_code"] == outcome.code == 3
    assert [difference["kind"] for difference in result["differences"]] == ["models"]


def test_status_tells_where_the_database_stands(migrated: Project, door: str) -> None:
    migrated.table("0004", "four")
    outcome = migrated.run("status", door=door).succeeded()
    assert "marked development" in outcome.out
    assert "current      0003" in outcome.out
    assert "pending      0004  create four" in outcome.out
    assert outcome.out.rstrip().endswith("upgrade")


def test_status_check_exits_3_unless_the_database_is_at_head(project: Project) -> None:
    project.table("0001", "one")
    assert project.run("status", "--check").code == 3
    project.run("init").succeeded()
    project.run("status", "--check").succeeded()
    project.table("0002", "two")
    assert project.run("status", "--check").code == 3
    project.run("status").succeeded()


def test_status_creates_nothing(project: Project, server_url: str, database_name: str) -> None:
    project.table("0001", "one")
    assert "does not exist" in project.run("status").succeeded().out
    assert not query(server_url, "SELECT 1 FROM pg_database WHERE datname = %s", database_name)


def test_status_names_a_revision_that_the_checkout_lacks(migrated: Project) -> None:
    migrated.revision_files[-1].unlink()
    outcome = migrated.run("status", "--check")
    assert outcome.code == 3
    assert "unknown      0003" in outcome.out


def test_url_shows_the_password_only_when_asked(project: Project, door: str) -> None:
    shown = project.run("url", door=door).succeeded().out.strip()
    assert "@" in shown
    full = project.run("url", "--with-password", door=door).succeeded().out.strip()
    assert query(full.replace(full.rpartition("/")[2], "postgres"), "SELECT 1") == [(1,)]
    assert shown == full.replace(":" + full.split("://")[1].split(":", 1)[1].split("@")[0], "", 1)


@pytest.mark.parametrize("command", ["init", "status", "verify", "upgrade", "url", "recreate"])
def test_json_is_one_document_alone_on_stdout(migrated: Project, command: str) -> None:
    migrated.models(
        "class One(Base):\n    __tablename__ = 'one'\n    id: Mapped[int] = "
        "mapped_column(primary_key=True)\n"
    )
    result = json.loads(migrated.run(command, "--json").out)
    assert result["location"]
