"""`create-migration`: what it writes from which models, and that it keeps what it promises."""

from __future__ import annotations

import ast
import contextlib
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from db_ops.errors import ExitCode, RenameUndecided, UnfinishedMigration, UsageError
from db_ops.results import MigrationCreated
from tests.conftest import Template
from tests.support.project import Project

PREAMBLE = """
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ExcludeConstraint
OPS = {"nickname": "text_pattern_ops"}
"""
AGENTS = """
class Agent(Base):
    __tablename__ = "agents"
    id: Mapped[int] = mapped_column(primary_key=True)
    name = mapped_column(sa.String(50), nullable=False, index=True)
    nickname = mapped_column(sa.Text)
    state = mapped_column(sa.Enum("draft", "live", name="state"), server_default="draft")
    rate = mapped_column(sa.Numeric(10, 2), server_default=sa.text("1.5"))
    number = mapped_column(sa.BigInteger, sa.Identity())
    full_name = mapped_column(sa.Text, sa.Computed("name || nickname", persisted=True))
    during = mapped_column(postgresql.TSTZRANGE)
    ticket = mapped_column(sa.BigInteger, Base.metadata.sequence("ticket"))
    tags = mapped_column(postgresql.ARRAY(sa.Text))
    __table_args__ = (
        sa.CheckConstraint("rate > 0", name="rate"),
        sa.CheckConstraint("nickname <> ''", name="nickname"),
        sa.Index("ix_live", "name", postgresql_where=sa.text("state = 'live'")),
        sa.Index("ix_nickname", "nickname"),
        sa.Index("ix_upper", sa.text("upper(name)")),
        ExcludeConstraint(("during", "&&"), name="no_overlap", using="gist"),
        {"comment": "who works"},
    )
"""
SEQUENCE = 'ticket = sa.Sequence("ticket", start=10, metadata=Base.metadata)\n'


def with_models(project: Project, source: str) -> None:
    """Write *source* as the models; a sequence is declared where `Base.metadata` has it."""
    source = source.replace('Base.metadata.sequence("ticket")', "ticket")
    project.models(PREAMBLE + (source if "ticket = sa.Seq" in source else SEQUENCE + source))


def create(project: Project, message: str = "change", **options: object) -> MigrationCreated:
    result = project.prepare("create_migration", message, **options)
    assert isinstance(result, MigrationCreated)
    return result


def text_of(project: Project, result: MigrationCreated) -> str:
    assert result.revision is not None
    return (project.root / result.revision.path).read_text()


def proven(result: MigrationCreated) -> MigrationCreated:
    assert (result.todos, result.unproven) == ((), ()), result
    assert result.exit_code == ExitCode.DONE
    return result


def _agents(project: Project) -> None:
    with_models(project, AGENTS)
    proven(create(project, "create agents"))


@pytest.fixture
def agents(project: Project, template: Template) -> Project:
    """A project with one written and proven revision, and no database."""
    project.copy_files_from(template(_agents))
    return project


def change(project: Project, before: str, after: str) -> None:
    assert before in AGENTS, before
    with_models(project, AGENTS.replace(before, after))


def test_no_database_is_needed_and_none_is_made(agents: Project) -> None:
    change(agents, "nickname = mapped_column(sa.Text)", "nickname = mapped_column(sa.String(9))")
    agents.run("create-migration", "-m", "shorten").succeeded()
    assert "does not exist" in agents.run("status").succeeded().out


def test_neither_state_nor_drift_of_the_database_matters(agents: Project) -> None:
    agents.run("init").succeeded()
    agents.query("ALTER TABLE agents ADD by_hand integer, DROP tags")
    change(
        agents, "    tags =", "    labels = mapped_column(postgresql.ARRAY(sa.Text))\n    tags ="
    )
    first = proven(create(agents, "add labels"))
    assert first.operations == ("add column agents.labels (text[])",)
    change(
        agents,
        "    tags =",
        "    age = mapped_column(sa.Integer)\n"
        "    labels = mapped_column(postgresql.ARRAY(sa.Text))\n    tags =",
    )
    second = proven(create(agents, "add age"))
    assert second.operations == ("add column agents.age (integer)",)
    assert "by_hand" not in text_of(agents, first) + text_of(agents, second)


def test_what_agrees_gets_no_file(agents: Project) -> None:
    files = agents.revision_files
    assert create(agents).revision is None
    assert agents.revision_files == files


PLAIN = "nickname = mapped_column(sa.Text)"
CHANGES = {
    "defaults, checks, comments": (
        ('sa.text("1.5")', 'sa.text("2.5")'),
        ('"rate > 0"', '"rate > 1"'),
        ('"nickname <> \'\'"', "\"nickname NOT IN ('', 'a:b', '12:30', ':x', '100%')\""),
        ('"comment": "who works"', '"comment": "others"'),
        (PLAIN, PLAIN[:-1] + ", comment='it\\'s: :a %')"),
        (", sa.Identity()", ", sa.Identity(start=100, increment=5)"),
    ),
    "indexes": (
        ("state = 'live'", "state = 'draft'"),
        ('"ix_nickname", "nickname"', '"ix_nickname", "nickname", postgresql_include=["name"]'),
        ('"upper(name)"', '"lower(name)"'),
        ('("during", "&&")', '("during", "-|-")'),
    ),
    "methods and operator classes": (
        (', postgresql_where=sa.text("state = \'live\'")', ', postgresql_using="hash"'),
        ('"ix_nickname", "nickname"', '"ix_nickname", "nickname", postgresql_ops=OPS'),
    ),
    "what goes": (
        (', server_default=sa.text("1.5")', ""),
        (', postgresql_where=sa.text("state = \'live\'")', ""),
        ('        ExcludeConstraint(("during", "&&"), name="no_overlap", using="gist"),\n', ""),
        (", sa.Identity()", ""),
        (', sa.Computed("name || nickname", persisted=True)', ""),
        ("    tags = mapped_column(postgresql.ARRAY(sa.Text))\n", ""),
    ),
    "types": (
        ("sa.String(50)", "sa.String(80)"),
        ("name || nickname", "name || ' ' || nickname"),
        ("postgresql.ARRAY(sa.Text)", "postgresql.ARRAY(sa.Integer)"),
        (", sa.Identity()", ", sa.Identity(always=True)"),
    ),
    "collations": (
        (PLAIN, PLAIN.replace("sa.Text", 'sa.Text(collation="C")')),
    ),
    "a new value that is the default": (
        ('"draft", "live", name="state"', '"draft", "on", "live", name="state"'),
        ('server_default="draft"', 'server_default="on"'),
    ),
    "new columns": (
        ("    tags =", """
    kind = mapped_column(sa.Enum("a", "b", name="kind"))
    other = mapped_column(sa.Enum("draft", "live", name="state"))
    small = mapped_column(postgresql.DOMAIN("small", sa.Integer, check="VALUE < 9"))
    motto = mapped_column(sa.Text, server_default="it's")
    data = mapped_column(postgresql.JSON, server_default=sa.text("'{\\\"a\\\"\\\\:1}'"))
    mail = mapped_column(sa.Text, unique=True)
    boss_id = mapped_column(sa.ForeignKey("agents.id", ondelete="CASCADE"))
    tags ="""),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_what_autogenerate_misses_comes_out_complete(agents: Project, name: str) -> None:
    source = AGENTS
    for before, after in CHANGES[name]:
        assert before in source, before
        source = source.replace(before, after)
    with_models(agents, source)
    assert proven(create(agents)).revision is not None
    assert create(agents).revision is None


def test_a_sequence_is_changed_and_dropped(agents: Project) -> None:
    with_models(agents, SEQUENCE.replace("start=10", "start=10, increment=5") + AGENTS)
    assert "increment of sequence ticket" in proven(create(agents)).operations[0]
    with_models(agents, SEQUENCE.replace('"ticket"', '"pass_no"') + AGENTS)
    result = proven(create(agents, no_rename=True))
    assert result.losses == ("drops sequence ticket and how far it has counted",)


def test_a_serial_default_comes_with_its_sequence_and_goes_with_it(project: Project) -> None:
    project.table("0001", "one")
    project.models(
        "class One(Base):\n    __tablename__ = 'one'\n"
        "    __table_args__ = (sa.PrimaryKeyConstraint('id', name='one_pkey'),)\n"
        "    id: Mapped[int] = mapped_column()\n"
    )
    proven(create(project))


def test_an_enum_value_is_added_without_rewriting_a_table(agents: Project) -> None:
    agents.run("init").succeeded()
    where = "SELECT pg_relation_filenode('agents')"
    before = agents.query(where)
    change(agents, '"draft", "live", name="state"', '"draft", "paused", "live", name="state"')
    result = proven(create(agents))
    assert "autocommit_block()" in text_of(agents, result)
    agents.query("INSERT INTO agents (name) VALUES ('one')")
    agents.run("upgrade").succeeded()
    assert agents.query(where) == before
    agents.run("downgrade").succeeded()
    agents.run("upgrade").succeeded()
    assert agents.query("SELECT enum_range(NULL::state)::text") == [("{draft,paused,live}",)]


def test_an_enum_value_that_rows_hold_is_not_lost_on_the_way_back(agents: Project) -> None:
    change(agents, '"draft", "live", name="state"', '"draft", "live", "gone", name="state"')
    proven(create(agents))
    agents.run("init").succeeded()
    agents.query("INSERT INTO agents (name, state) VALUES ('one', 'gone')")
    assert "gone" in agents.run("downgrade").failed(1).error
    assert agents.query("SELECT state::text FROM agents") == [("gone",)]


def test_a_type_goes_with_the_downgrade(agents: Project) -> None:
    agents.run("init").succeeded()
    agents.run("downgrade").succeeded()
    assert agents.query("SELECT typname FROM pg_type WHERE typtype = 'e'") == []
    agents.run("upgrade").succeeded()


def _without_a_column_that_a_view_reads(agents: Project) -> None:
    (head,) = re.findall(r"-([0-9a-f]{12})_", agents.newest_file.name)
    agents.revision(
        "0002",
        "op.execute('CREATE VIEW busy AS SELECT name, tags FROM agents')",
        "op.execute('DROP VIEW busy')",
        down_revision=head,
    )
    change(agents, "    tags = mapped_column(postgresql.ARRAY(sa.Text))\n", "")


def test_what_a_view_forbids_is_a_todo_in_the_file_and_on_the_terminal(agents: Project) -> None:
    _without_a_column_that_a_view_reads(agents)
    outcome = agents.run("create-migration", "-m", "no tags")
    assert outcome.code == ExitCode.DIFFERENT
    assert "TODO: drop column agents.tags" in outcome.out
    assert "not proven: models and migrations still differ" in outcome.out
    assert "TODO(db_ops): drop column" in agents.newest_file.read_text()
    with pytest.raises(UnfinishedMigration, match="still holds 1 TODO"):
        create(agents, "again")
    assert len(agents.revision_files) == 3


def test_a_todo_that_somebody_has_written_counts_no_more(agents: Project) -> None:
    _without_a_column_that_a_view_reads(agents)
    result = create(agents)
    assert result.exit_code == ExitCode.DIFFERENT
    path = agents.root / result.revision.path
    by_hand = """
    op.execute("DROP VIEW busy")
    op.drop_column("agents", "tags")
    op.execute("CREATE VIEW busy AS SELECT name FROM agents")
"""
    path.write_text(
        re.sub(r"    # TODO\(db_ops\)(.*\n    #)*.*\n", by_hand, path.read_text(), count=1)
    )
    assert create(agents).revision is None


def test_a_column_that_may_have_been_renamed_is_asked_about(agents: Project, door: str) -> None:
    files = agents.revision_files
    change(agents, "    tags =", "    labels =")
    outcome = agents.run("create-migration", "-m", "call them labels", door=door).failed(4)
    assert "column agents.tags is gone, agents.labels is new" in outcome.error
    assert "-m 'call them labels' --rename agents.tags:labels" in outcome.hint
    assert "--no-rename" in outcome.hint
    assert agents.revision_files == files


def test_a_renamed_column_keeps_its_values(agents: Project) -> None:
    agents.run("init").succeeded()
    agents.query("INSERT INTO agents (name, tags) VALUES ('one', '{x}')")
    change(agents, "    tags =", "    labels =")
    result = proven(create(agents, rename=["agents.tags:labels"]))
    assert result.operations == ("rename column agents.tags to labels",)
    assert not result.losses
    # Which quotes is for ruff to say, where it is.
    assert 'new_column_name="labels"' in text_of(agents, result).replace("'", '"')
    agents.run("upgrade").succeeded()
    assert agents.query("SELECT labels FROM agents") == [(["x"],)]
    agents.run("downgrade").succeeded()
    assert agents.query("SELECT tags FROM agents") == [(["x"],)]


def test_what_was_not_renamed_is_dropped_and_said_to_be_lost(agents: Project) -> None:
    change(agents, "    tags =", "    labels =")
    result = proven(create(agents, no_rename=True))
    assert result.losses == ("drops column agents.tags with its values",)


def test_indexes_and_constraints_of_renamed_things_are_renamed(project: Project) -> None:
    models = """
    class Team(Base):
        __tablename__ = "teams"
        id: Mapped[int] = mapped_column(primary_key=True)
        title = mapped_column(sa.Text, index=True)
        mail = mapped_column(sa.Text, unique=True)
        lead_id = mapped_column(sa.ForeignKey("teams.id"))
        __table_args__ = (sa.CheckConstraint("title <> ''", name="title"),)
    """
    project.models(models)
    proven(create(project, "create teams"))
    renamed = (
        models.replace("teams", "groups").replace("title", "label", 1).replace("mail", "email")
    )
    renamed = renamed.replace("title <> ''", "label <> ''")
    project.models(renamed)
    with pytest.raises(RenameUndecided) as asked:
        create(project)
    assert "teams:groups" in asked.value.flags
    answers = ["teams:groups", "groups.title:label", "groups.mail:email"]
    result = proven(create(project, rename=answers))
    text = text_of(project, result)
    assert 'op.rename_table("teams", "groups")' in text.replace("'", '"')
    assert "RENAME CONSTRAINT pk_teams TO pk_groups" in text
    assert "ALTER INDEX public.ix_teams_title RENAME TO ix_groups_label" in text
    assert "create_table" not in text
    assert "CREATE INDEX" not in text
    assert not result.losses


def test_a_rename_that_nothing_bears_out_is_misuse(agents: Project) -> None:
    change(agents, "    tags =", "    labels =")
    for answer in ("agents", "agents.tags:", "agents.no:labels", "a:b", ":"):
        with pytest.raises(UsageError, match="--rename"):
            create(agents, rename=[answer])


def test_an_irreversible_migration_refuses_to_go_back(agents: Project) -> None:
    change(agents, "    tags = mapped_column(postgresql.ARRAY(sa.Text))\n", "")
    result = proven(create(agents, irreversible=True))
    assert "raise NotImplementedError" in text_of(agents, result)
    agents.run("init").succeeded()
    assert "drops column agents.tags" in agents.run("downgrade").failed(1).error


def test_a_file_that_no_formatter_has_seen_is_readable(agents: Project) -> None:
    """With a hook of the project's own, Alembic's layout stays; our own statements are broken."""
    with (agents.root / "alembic.ini").open("a") as ini:
        ini.write("[post_write_hooks]\nhooks = none\nnone.type = exec\nnone.executable = true\n")
    condition = " OR ".join(f"nickname <> 'number {n}  of % many'" for n in range(5))
    change(
        agents,
        "__table_args__ = (",
        f'__table_args__ = (sa.CheckConstraint(sa.text("""{condition}"""), name="numbers"),',
    )
    result = proven(create(agents, 'a\\b "c"'))
    text = text_of(agents, result)
    statement = re.search(r"    op\.execute\(\n(        ['\"].*['\"]\n)+    \)\n", text)
    assert statement is not None, text
    assert max(map(len, statement[0].splitlines())) <= 79
    assert ast.get_docstring(ast.parse(text)).startswith('a\\b "c"\n\n- add constraint')
    assert "auto generated" not in text


def test_a_file_name_of_the_project_s_own_is_kept(project: Project) -> None:
    ini = project.root / "alembic.ini"
    ini.write_text(
        re.sub(r"file_template = .*", "file_template = %%(slug)s__%%(rev)s", ini.read_text())
    )
    with_models(project, AGENTS)
    assert "create_agents__" in create(project, "create agents").revision.path


def test_a_file_name_without_a_template_begins_with_the_date(project: Project) -> None:
    ini = project.root / "alembic.ini"
    ini.write_text(re.sub(r"file_template = .*\n", "", ini.read_text()))
    with_models(project, AGENTS)
    name = Path(create(project, "create agents").revision.path).name
    assert re.match(r"\d{4}_\d\d_\d\d_\d{4}-[0-9a-f]{12}_create_agents\.py", name)


def test_a_hook_of_the_project_s_own_sees_the_whole_file(project: Project) -> None:
    with (project.root / "alembic.ini").open("a") as ini:
        ini.write(
            "[post_write_hooks]\nhooks = note\nnote.type = exec\nnote.executable = sed\n"
            "note.options = -i s/create_table/&/w%(here)s/seen REVISION_SCRIPT_FILENAME\n"
        )
    with_models(project, AGENTS)
    proven(create(project))
    assert "create_table" in (project.root / "seen").read_text()


def test_a_type_of_the_user_s_is_imported(project: Project) -> None:
    (project.root / "house_types.py").write_text(
        "import sqlalchemy as sa\n\n\nclass Money(sa.TypeDecorator):\n"
        "    impl = sa.Numeric(12, 2)\n    cache_ok = True\n"
    )
    project.models(
        "from house_types import Money\n\n\n"
        "class Bill(Base):\n    __tablename__ = 'bills'\n"
        "    id: Mapped[int] = mapped_column(primary_key=True)\n"
        "    amount = mapped_column(Money)\n"
    )
    outcome = project.run("create-migration", "-m", "create bills").succeeded()
    text = project.revision_files[0].read_text()
    assert "import house_types\n" in text, outcome.out
    assert "house_types.Money(" in text
    assert "postgresql" not in text


def test_a_type_of_the_user_s_around_an_enum_creates_it_once(project: Project) -> None:
    project.models(
        "class State(sa.TypeDecorator):\n    impl = sa.Enum('a', 'b', name='state')\n"
        "    cache_ok = True\n\n\n"
        "class Bill(Base):\n    __tablename__ = 'bills'\n"
        "    id: Mapped[int] = mapped_column(primary_key=True)\n"
        "    state = mapped_column(State)\n"
    )
    proven(create(project))


def test_a_revision_id_longer_than_its_column_is_refused(project: Project) -> None:
    env = project.root / "alembic" / "env.py"
    env.write_text(
        env.read_text().replace(
            "run_migrations(",
            "def name(context, revision, directives):\n"
            "    directives[0].rev_id = 'x' * 33\n\n\n"
            "run_migrations(process_revision_directives=name, target_metadata=",
        )
    )
    with_models(project, AGENTS)
    outcome = project.run("create-migration", "-m", "x").failed(1)
    assert "longer than 32" in outcome.error
    assert not project.revision_files


def test_models_in_a_new_schema_bring_it_along(project: Project) -> None:
    project.models(
        "class Bill(Base):\n    __tablename__ = 'bills'\n"
        "    __table_args__ = {'schema': 'billing'}\n"
        "    id: Mapped[int] = mapped_column(primary_key=True)\n"
        "    state = mapped_column(sa.Enum('a', name='state', schema='billing'))\n"
    )
    result = proven(create(project))
    assert "CREATE SCHEMA billing" in text_of(project, result)


def test_partitions_that_jobs_make_are_not_dropped(project: Project) -> None:
    project.models(
        "class Event(Base):\n    __tablename__ = 'events'\n"
        "    __table_args__ = {'postgresql_partition_by': 'RANGE (id)'}\n"
        "    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=False)\n"
    )
    proven(create(project))
    project.revision(
        "0002",
        "op.execute('CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (1) TO (9)')",
        "op.execute('DROP TABLE events_1')",
        down_revision=project.revision_files[0].name.split("-")[1].split("_")[0],
    )
    assert create(project).revision is None


def test_unnamed_constraints_get_the_names_that_the_server_gives(project: Project) -> None:
    head = "class Base(DeclarativeBase):\n    pass\n"
    source = (project.root / "models.py").read_text()
    source = source[: source.index("class Base")] + head
    table = (
        "class Thing(Base):\n    __tablename__ = 'things'\n"
        "    id: Mapped[int] = mapped_column(primary_key=True)\n"
        "    n = mapped_column(sa.Integer{})\n"
    )
    (project.root / "models.py").write_text(source + table.format(""))
    proven(create(project))
    (project.root / "models.py").write_text(source + table.format(", unique=True"))
    result = proven(create(project))
    assert "things_n_key" in text_of(project, result)


def test_what_would_hurt_a_table_in_use_is_named_with_the_safer_form(agents: Project) -> None:
    change(
        agents,
        "    tags =",
        "    age = mapped_column(sa.Integer, index=True, nullable=False)\n    tags =",
    )
    outcome = agents.run("create-migration", "-m", "add age").succeeded()
    assert re.search(r"unsafe: .*agents.*; instead: .*", outcome.out), outcome.out


def test_on_a_terminal_the_question_is_asked(agents: Project) -> None:
    change(agents, "    tags =", "    labels =")
    code, said = on_a_terminal(agents, "y\n")
    assert "renamed? [y/n]" in said
    assert code == 0, said
    assert "labels" in agents.newest_file.read_text().partition("new_column_name=")[2][:8]


def test_an_answer_of_no_drops_and_adds(agents: Project) -> None:
    change(agents, "    tags =", "    labels =")
    code, said = on_a_terminal(agents, "n\n")
    assert code == 0, said
    assert "loses data: drops column agents.tags" in said


def on_a_terminal(project: Project, answer: str) -> tuple[int, str]:
    """Run `create-migration` with a terminal on all three ends, and type *answer*."""
    main, other = pty.openpty()
    argv = [sys.executable, str(project.root / "scripts" / "manage_db.py")]
    process = subprocess.Popen(
        [*argv, "create-migration", "-m", "labels"],
        cwd=project.root,
        env={**os.environ, **project.env},
        stdin=other,
        stdout=other,
        stderr=other,
    )
    os.close(other)
    os.write(main, answer.encode())
    said = b""
    with contextlib.suppress(OSError):
        while part := os.read(main, 4096):
            said += part
    os.close(main)
    return process.wait(60), said.decode()
