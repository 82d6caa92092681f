"""`verify`: three sides compared, every difference named, nothing written."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from db_ops.results import MigrationCreated
from db_ops.settings import DatabaseUrl
from tests.conftest import Template, with_database, with_user
from tests.support.changes.project import corpus_project
from tests.support.cluster import Cluster
from tests.support.command import Command
from tests.support.launcher import Launcher
from tests.support.project import Project, make_project, query

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


def _agents(project: Project) -> None:
    project.models(AGENT)
    project.revision("0001", "op.execute('CREATE SEQUENCE agent_number')")
    project.prepare("init")
    created = project.prepare("create_migration", "create agents")
    assert isinstance(created, MigrationCreated)
    assert created.revision
    project.last_revision = created.revision.id
    project.prepare("upgrade")


@pytest.fixture
def clean(project: Project, template: Template) -> Project:
    """A project in which models, migrations and database agree."""
    project.copy_from(template(_agents))
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
    assert "alembic check: no new operations" in clean.run("verify").succeeded().out


@pytest.mark.parametrize(
    ("statement", "said", "undo"),
    [
        (
            "ALTER TABLE agents ADD COLUMN extra int",
            "column public.agents.extra",
            "ALTER TABLE public.agents DROP COLUMN extra  (loses data)",
        ),
        (
            "ALTER TABLE agents ALTER name SET DEFAULT 'it''s not'",
            "column public.agents.name: default",
            "ALTER TABLE public.agents ALTER COLUMN name SET DEFAULT 'it''s'::character varying",
        ),
        (
            "ALTER TABLE agents DROP CONSTRAINT ck_agents_name_not_empty",
            "constraint public.agents.ck_agents_name_not_empty",
            "ADD CONSTRAINT ck_agents_name_not_empty CHECK",
        ),
        (
            "CREATE VIEW names AS SELECT name FROM agents",
            "view public.names",
            "DROP VIEW public.names",
        ),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "function public.f()",
            "DROP FUNCTION public.f()",
        ),
    ],
)
def test_a_change_by_hand_is_named_once_with_what_undoes_it(
    clean: Project, statement: str, said: str, undo: str
) -> None:
    clean.query(statement)
    outcome = clean.run("verify")
    assert outcome.code == 3
    lines = [line for line in outcome.out.splitlines() if "changed by hand" in line]
    assert [line.split(": ", 1)[1] for line in lines] == [f"{said}: changed by hand"]
    assert undo in outcome.out
    assert outcome.err == ""


def test_the_word_of_alembic_check_is_part_of_the_report(clean: Project) -> None:
    assert "alembic check: no new operations" in clean.run("verify").out
    clean.query("ALTER TABLE agents ADD COLUMN extra int")
    outcome = clean.run("verify", "--json")
    assert json.loads(outcome.out)["alembic"] == ["remove column agents.extra (INTEGER)"]


def test_models_ahead_of_the_migrations_ask_for_a_migration(clean: Project) -> None:
    clean.models(AGENT + "    age: Mapped[int | None]\n")
    outcome = clean.run("verify")
    assert outcome.code == 3
    assert "column public.agents.age: the models are ahead of the migrations" in outcome.out
    assert "    models      integer" in outcome.out
    assert "    migrations  none" in outcome.out
    assert "next: python scripts/manage_db.py create-migration" in outcome.out.replace(
        str(clean.root) + "/", ""
    )


def test_a_changed_model_or_revision_is_seen_although_sides_are_kept(clean: Project) -> None:
    clean.run("verify").succeeded()
    assert "models from cache" in clean.run("verify").succeeded().out
    clean.models(AGENT.replace("sa.String(50)", "sa.String(60)"))
    assert "column public.agents.name: type" in clean.run("verify").out
    clean.models(AGENT)
    clean.run("verify").succeeded()
    path = clean.newest_file
    path.write_text(path.read_text().replace("length=50", "length=70"))
    assert "column public.agents.name: type" in clean.run("verify").out


def test_a_kept_side_that_cannot_be_read_is_built_again(clean: Project) -> None:
    clean.run("verify").succeeded()
    kept = {path: path.read_bytes() for path in (clean.root / "cache").rglob("side-*.json")}
    assert kept
    for path, content in kept.items():
        path.write_bytes(content[:-40])
    clean.query("CREATE VIEW names AS SELECT name FROM agents")
    outcome = clean.run("verify")
    assert outcome.code == 3
    assert "view public.names: changed by hand" in outcome.out
    assert all(len(path.read_bytes()) == len(content) for path, content in kept.items())


def test_a_database_behind_names_what_is_pending_and_still_what_was_changed_by_hand(
    clean: Project,
) -> None:
    clean.table("0003", "later")
    clean.query("CREATE VIEW names AS SELECT name FROM agents")
    outcome = clean.run("verify", "--json")
    result = json.loads(outcome.out)
    assert outcome.code == 3
    assert result["pending"] == ["0003"]
    found = {(one["kind"], one["subject"]) for one in result["differences"]}
    assert ("pending", None) in found
    assert ("drift", "view public.names") in found
    assert ("models", "table public.later") in found
    assert any("alembic check did not run" in said for said in result["unchecked"])


def test_a_database_ahead_is_never_told_to_undo_what_a_newer_checkout_did(clean: Project) -> None:
    newest = clean.table("0003", "later")
    clean.prepare("upgrade")
    newest.unlink()
    outcome = clean.run("verify").succeeded()
    assert "at 0003, ahead of this checkout by 1 revision (0003), catalogs as recorded" in (
        outcome.out
    )
    clean.query("ALTER TABLE later ADD COLUMN by_hand int")
    outcome = clean.run("verify", "--json")
    result = json.loads(outcome.out)
    assert outcome.code == 3
    assert result["unknown"] == result["ahead"] == ["0003"]
    assert ("drift", None) in {(one["kind"], one["subject"]) for one in result["differences"]}
    (found,) = [one for one in result["differences"] if one["subject"] == "table public.later"]
    assert (found["kind"], found["remedies"]) == ("ahead", ["check out the branch that has it"])


def test_several_heads_are_named_and_the_rest_is_still_compared(clean: Project) -> None:
    base = clean.last_revision
    clean.revision("000a", "op.execute('CREATE VIEW a AS SELECT 1')", down_revision=base)
    clean.revision("000b", "op.execute('CREATE VIEW b AS SELECT 1')", down_revision=base)
    clean.alembic("upgrade", "heads").succeeded()
    clean.query("DROP VIEW b")
    outcome = clean.run("verify", "--json")
    kinds = {(one["kind"], one["subject"]) for one in json.loads(outcome.out)["differences"]}
    assert kinds == {("heads", None), ("drift", "view public.b")}
    assert outcome.code == 3


def test_an_invalid_index_and_an_unchecked_constraint_have_kinds_of_their_own(
    clean: Project,
) -> None:
    clean.revision(
        "0003",
        "op.execute('CREATE INDEX ix_number ON agents (number)')\n"
        "op.execute('ALTER TABLE agents ADD CONSTRAINT later CHECK (number > 0) NOT VALID')",
    )
    clean.prepare("upgrade")
    clean.query("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_number'::regclass")
    outcome = clean.run("verify", "--json")
    found = {one["kind"]: one["remedy"] for one in json.loads(outcome.out)["differences"]}
    assert outcome.code == 3
    assert found["invalid"] == "REINDEX INDEX CONCURRENTLY public.ix_number"
    assert found["not-valid"] == "ALTER TABLE public.agents VALIDATE CONSTRAINT later"


def test_verify_of_a_missing_database_differs(project: Project, door: str) -> None:
    outcome = project.run("verify", door=door)
    assert outcome.code == 3
    assert "does not exist" in outcome.out


def test_verify_names_several_heads_and_unknown_revisions(migrated: Project) -> None:
    migrated.revision("0004a", down_revision="0003")
    migrated.revision("0004b", down_revision="0003")
    assert "0004a, 0004b" in migrated.run("verify").out
    migrated.query("DROP SCHEMA db_ops CASCADE")
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
    (difference,) = result["differences"]
    assert difference["kind"] == "drift"
    assert difference["values"] == {"models": None, "migrations": None, "database": "integer"}
    assert difference["loses_data"]


def test_ignored_and_accepted_differences_are_silenced_and_listed(clean: Project) -> None:
    clean.query("CREATE VIEW names AS SELECT name FROM agents")
    clean.query("ALTER TABLE agents ALTER name SET DEFAULT 'x'")
    rules = clean.root / "pyproject.toml"
    rules.write_text("[tool.db_ops.verify]\nignore = ['view *']\n")
    assert "view public.names" not in clean.run("verify").out
    accepted = clean.run("verify", "--accept").succeeded()
    assert "1 differences accepted" in accepted.out
    outcome = clean.run("verify", "-v").succeeded()
    assert "silenced: view public.names: ignored by 'view *'" in outcome.out
    assert (
        "silenced: column public.agents.name: default: accepted in verify-baseline.toml"
        in outcome.out
    )
    assert "silenced: version table public.alembic_version" in outcome.out
    assert "time: alembic check" in outcome.out


def test_an_accepted_difference_counts_again_when_it_changes(clean: Project) -> None:
    clean.query("ALTER TABLE agents ALTER name SET DEFAULT 'x'")
    clean.run("verify", "--accept").succeeded()
    clean.query("ALTER TABLE agents ALTER name SET DEFAULT 'y'")
    assert clean.run("verify").code == 3
    clean.query("ALTER TABLE agents ALTER name SET DEFAULT 'it''s'")
    outcome = clean.run("verify").succeeded()
    assert "accepts what is no longer there: column public.agents.name: default" in outcome.out


def test_the_baseline_is_the_same_file_whoever_writes_it(clean: Project) -> None:
    clean.query(
        'CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$\n  SELECT \'"""\\x\'\n$$;'
        "CREATE VIEW names AS SELECT name FROM agents; CREATE VIEW also AS SELECT 1"
    )
    clean.run("verify", "--accept").succeeded()
    path = clean.root / "alembic" / "verify-baseline.toml"
    written = path.read_text()
    clean.run("verify").succeeded()
    clean.run("verify", "--accept").succeeded()
    assert path.read_text() == written
    assert written.index("public.also") < written.index("public.names")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool.db_ops.verify]\nignore = 'x'", "is no list of patterns"),
        ("[tool.db_ops.verify]\nignored = []", "has no ignored"),
        ("[tool.db_ops", "pyproject.toml"),
    ],
)
def test_rules_that_make_no_sense_are_named(clean: Project, text: str, said: str) -> None:
    (clean.root / "pyproject.toml").write_text(text)
    assert said in clean.run("verify").failed(2).error


def test_a_broken_baseline_is_named(clean: Project) -> None:
    (clean.root / "alembic" / "verify-baseline.toml").write_text("[[accepted]]\nsubjects = 'x'\n")
    assert "needs a subject" in clean.run("verify").failed(2).error


def test_grants_and_owners_are_compared_only_when_asked(clean: Project, role: str) -> None:
    clean.run("verify", "--grants").succeeded()
    clean.query(f"GRANT SELECT ON agents TO {role}")
    clean.run("verify").succeeded()
    outcome = clean.run("verify", "--grants")
    clean.query(f"REVOKE SELECT ON agents FROM {role}")
    assert outcome.code == 3
    assert f"grant table public.agents to {role}: changed by hand" in outcome.out


def test_another_role_than_the_one_that_migrates_sees_no_other_owner(
    clean: Project, role: str
) -> None:
    query(clean.url, f"ALTER ROLE {role} CREATEDB; GRANT pg_read_all_data TO {role}")
    clean.url = with_user(clean.url, role, "role_secret")
    clean.run("verify", "--grants").succeeded()


def test_without_the_right_to_create_databases_reflection_compares_and_says_so_loudly(
    clean: Project, role: str
) -> None:
    query(clean.url, f"GRANT pg_read_all_data TO {role}")
    admin, clean.url = clean.url, with_user(clean.url, role, "role_secret")
    outcome = clean.run("verify").succeeded()
    assert "ONLY ALEMBIC'S REFLECTION WAS COMPARED" in outcome.out
    assert f"role '{role}' may not create databases" in outcome.out
    assert "DB_OPS_SCRATCH_URL" in outcome.out
    query(admin, "ALTER TABLE agents ADD COLUMN extra int")
    outcome = clean.run("verify")
    assert outcome.code == 3
    assert "remove column agents.extra" in outcome.out


def test_a_role_that_may_only_connect_compares_with_another_server(
    clean: Project, role: str, server_url: str
) -> None:
    admin, clean.url = clean.url, with_user(clean.url, role, "role_secret")
    clean.env["DB_OPS_SCRATCH_URL"] = server_url
    outcome = clean.run("verify")
    assert outcome.code == 3
    assert "migrations from template, models from models" in outcome.out
    first = outcome.out.splitlines()[0]
    assert f"compared in part only: revisions were not compared: role {role} lacks SELECT" in first
    assert f"GRANT SELECT ON public.alembic_version TO {role}" in first
    query(admin, f"GRANT pg_read_all_data TO {role}")
    assert "agree at" in clean.run("verify").succeeded().out
    query(admin, "CREATE VIEW names AS SELECT 1")
    assert clean.run("verify").code == 3


def test_sessions_that_are_read_only_for_everything_are_enough(
    clean: Project, role: str, server_url: str
) -> None:
    query(clean.url, f"GRANT pg_read_all_data TO {role}")
    query(clean.url, f"ALTER ROLE {role} SET default_transaction_read_only = on")
    clean.url = with_user(clean.url, role, "role_secret")
    clean.env["DB_OPS_SCRATCH_URL"] = server_url
    assert "agree at" in clean.run("verify").succeeded().out
    del clean.env["DB_OPS_SCRATCH_URL"]
    shutil.rmtree(clean.root / "cache")
    assert "sessions are read-only" in clean.run("verify").succeeded().out


def test_a_scratch_server_of_another_version_is_refused_without_its_password(
    clean: Project, server_url: str
) -> None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    ours = query(server_url, "SELECT current_setting('server_version_num')::int / 10000")
    others = [path for path in found if path.parent.name != str(ours[0][0])]
    if not others:
        pytest.skip("no PostgreSQL of another version here")
    other = Cluster(others[0])
    try:
        clean.env["DB_OPS_SCRATCH_URL"] = other.url
        outcome = clean.run("verify").failed(1)
        assert f"is on PostgreSQL {ours[0][0]}" in outcome.error
        assert other.url.split(":")[2].split("@")[0] not in outcome.err
    finally:
        other.remove()


def test_a_standby_is_compared_with_the_help_of_another_server(
    tmp_path: Path, server_url: str, launcher: Launcher
) -> None:
    standby = Cluster()
    try:
        project = make_project(
            tmp_path / "project", with_database(standby.url, "service"), launcher.run
        )
        project.models(AGENT)
        project.revision("0001", "op.execute('CREATE SEQUENCE agent_number')")
        for command in (("init",), ("create-migration", "-m", "agents"), ("upgrade",)):
            project.run(*command).succeeded()
        standby.stop()
        (standby.data / "standby.signal").touch()
        standby.start()
        shutil.rmtree(project.root / "cache")
        assert "the server is a standby" in project.run("verify").succeeded().out
        project.env["DB_OPS_SCRATCH_URL"] = server_url
        outcome = project.run("verify").succeeded()
        assert "models, migrations and database agree" in outcome.out
        assert "migrations from template" in outcome.out
    finally:
        standby.remove()


def test_a_table_that_somebody_locks_stops_neither_us_for_long_nor_them(clean: Project) -> None:
    clean.run("verify").succeeded()
    clean.env["DB_OPS_LOCK_TIMEOUT"] = "0.5"
    with closing(psycopg2.connect(**DatabaseUrl.parse(clean.url).parameters)) as other:
        with other.cursor() as cursor:
            cursor.execute("LOCK TABLE agents IN ACCESS EXCLUSIVE MODE")
        outcome = clean.run("verify").failed(5)
    assert "a table is locked" in outcome.error


def test_verify_takes_no_lock_but_access_share(clean: Project) -> None:
    clean.run("verify").succeeded()
    with closing(psycopg2.connect(**DatabaseUrl.parse(clean.url).parameters)) as other:
        with other.cursor() as cursor:
            cursor.execute("LOCK TABLE agents, alembic_version IN EXCLUSIVE MODE")
        assert "models, migrations and database agree" in clean.run("verify").succeeded().out


def test_scratch_databases_of_a_killed_plan_are_gone_after_the_next_command(
    clean: Project, role: str, server_url: str
) -> None:
    query(server_url, f"ALTER ROLE {role} CREATEDB; GRANT pg_read_all_data TO {role}")
    clean.url = with_user(clean.url, role, "role_secret")
    slow = clean.revision("0003", "op.execute('SELECT pg_sleep(60)')")
    ours = "SELECT datname FROM pg_database WHERE pg_get_userbyid(datdba) = %s"
    with Command(clean, "upgrade", "--plan") as command:
        command.wait_until_it_runs("pg_sleep")
        command.kill()
    assert len(query(server_url, ours, role)) == 1
    slow.unlink()
    clean.run("create-migration", "-m", "nothing").succeeded()
    left = {str(name).split("_")[2] for (name,) in query(server_url, ours, role)}
    assert left <= {"template"}


def test_something_of_every_kind_is_verified_without_a_false_alarm(
    project: Project, server_url: str
) -> None:
    corpus_project(project)
    project.run("init").succeeded()
    for _ in range(2):
        result = json.loads(project.run("verify", "--grants", "--json").succeeded().out)
        assert (result["differences"], result["unchecked"]) == ([], [])
    assert "events_2025" in str(result["alembic"])


@pytest.mark.parametrize(
    "command", [("verify",), ("check-models",), ("create-migration", "-m", "index them")]
)
def test_an_index_without_a_name_is_the_models_fault(
    project: Project, command: tuple[str, ...]
) -> None:
    project.models(
        "class Note(Base):\n    __tablename__ = 'notes'\n"
        "    id: Mapped[int] = mapped_column(primary_key=True)\n"
        "    text: Mapped[str] = mapped_column(index=True)\n"
    )
    models = project.root / "models.py"
    models.write_text(models.read_text().replace('"ix": "ix_%(column_0_label)s",', ""))
    project.run("init").succeeded()
    outcome = project.run(*command)
    assert outcome.code in (1, 3)
    assert "an index of notes has no name" in outcome.out + outcome.err
