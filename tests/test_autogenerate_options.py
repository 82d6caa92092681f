"""Filters, hooks and plugins of autogenerate mean to our commands what they mean to Alembic."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.foreign import KINDS, ForeignProject, copy_project
from tests.support.launcher import Launcher
from tests.support.project import Project, query

BOOK = """
    class Book(Base):
        __tablename__ = "book"
        id: Mapped[int] = mapped_column(primary_key=True)
"""
BOOK_REVISION = (
    "op.create_table('book', sa.Column('id', sa.Integer, nullable=False),"
    " sa.PrimaryKeyConstraint('id', name='pk_book'))"
)
PARTMAN = """
op.execute("CREATE TYPE part_state AS ENUM ('new', 'old')")
op.execute("CREATE TABLE part_config (id int PRIMARY KEY, state part_state NOT NULL)")
op.execute("CREATE INDEX part_config_state ON part_config (state)")
op.execute("CREATE INDEX by_hand ON book (id)")
op.execute("CREATE SCHEMA audit")
op.execute("CREATE TABLE audit.log (id int PRIMARY KEY)")
"""
DOWN = """
op.execute("DROP SCHEMA audit CASCADE")
op.execute("DROP INDEX by_hand")
op.execute("DROP TABLE part_config")
op.execute("DROP TYPE part_state")
"""
FILTERS = {
    "include_object": """
def include_object(item, name, kind, reflected, compare_to):
    if kind == "table":
        return not name.startswith("part_")
    return not (kind == "index" and reflected and compare_to is None)

options = {"include_object": include_object}
""",
    "include_name": """
def include_name(name, kind, parents):
    return not (name or "").startswith("part_") and name != "by_hand"

options = {"include_name": include_name}
""",
    "process_revision_directives": """
from alembic.autogenerate import rewriter
from alembic.operations import ops

writer = rewriter.Rewriter()

@writer.rewrites(ops.DropTableOp)
@writer.rewrites(ops.DropIndexOp)
def keep(context, revision, op):
    return []

def process(context, revision, directives):
    # As in the manual of Alembic.
    if context.environment_context.config.cmd_opts.autogenerate:
        writer(context, revision, directives)
        if directives[0].upgrade_ops.is_empty():
            directives[:] = []

options = {"process_revision_directives": process}
""",
}
PLUGIN = """
from alembic.autogenerate import comparators, renderers
from alembic.operations import MigrateOperation
from alembic.util import CommandError

class MissingFunction(MigrateOperation):
    # A plugin's own need not say how it differs.
    def __init__(self, name):
        self.name = name

    def reverse(self):
        return DropFunction(self.name)

class DropFunction(MissingFunction):
    def reverse(self):
        return MissingFunction(self.name)

    def to_diff_tuple(self):
        return "drop_function", self.name

@comparators.dispatch_for("schema")
def compare(context, upgrade_ops, schemas):
    there = context.connection.exec_driver_sql("SELECT 1 FROM pg_proc WHERE proname = 'shout'")
    if not there.first():
        upgrade_ops.ops.append(MissingFunction("shout"))
{dispatch}
"""
RENDERER = """
@renderers.dispatch_for(MissingFunction)
def render(context, op):
    return "op.execute('CREATE FUNCTION shout() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$')"

@renderers.dispatch_for(DropFunction)
def render_drop(context, op):
    return "op.execute('DROP FUNCTION shout()')"
"""


def with_options(project: Project, code: str) -> None:
    """Let env.py call our body with the `options` that *code* defines."""
    env_py = project.root / "alembic" / "env.py"
    head, call = env_py.read_text().split("run_migrations(Base.metadata)")
    env_py.write_text(f"{head}\n{code}\nrun_migrations(Base.metadata, **options){call}")


@pytest.mark.parametrize("name", FILTERS)
def test_what_env_py_leaves_out_is_neither_dropped_nor_a_difference(
    project: Project, name: str
) -> None:
    with_options(project, FILTERS[name] + "options['include_schemas'] = False")
    project.models(BOOK)
    project.revision("0001", BOOK_REVISION, "op.drop_table('book')")
    project.revision("0002", PARTMAN, DOWN)
    project.run("init").succeeded()
    outcome = project.run("create-migration", "-m", "nothing").succeeded()
    assert "agree: no file written" in outcome.out
    assert len(project.revision_files) == 2
    verified = project.run("verify", "-v").succeeded().out
    assert "models, migrations and database agree at 0002" in verified
    assert f"silenced: table public.part_config: left out by {name}" in verified
    assert f"silenced: enum public.part_state: left out by {name}" in verified
    assert "silenced: table audit.log: left out by include_schemas" in verified

    # What is left in is still written, and what is left out stays when that is applied.
    project.models(BOOK + "        pages: Mapped[int | None]\n")
    outcome = project.run("create-migration", "-m", "pages").succeeded()
    assert "add column book.pages" in outcome.out
    assert "part_" not in project.newest_file.read_text()
    assert "by_hand" not in project.newest_file.read_text()
    behind = project.run("verify", "-v")
    assert behind.code == 3
    assert "table public.part_config" not in behind.out.replace("silenced: table public.part_", "")
    project.run("upgrade").succeeded()
    assert "part_config" in project.tables


def test_a_column_that_was_added_by_hand_is_named_whatever_the_filter_says(
    project: Project,
) -> None:
    with_options(project, FILTERS["include_object"].replace('kind == "index" and ', ""))
    project.models(BOOK)
    project.revision("0001", BOOK_REVISION, "op.drop_table('book')")
    project.prepare("init")
    project.query("CREATE TABLE part_2026 (id int); CREATE INDEX part_index ON part_2026 (id)")
    assert "agree" in project.run("verify").succeeded().out
    project.query("ALTER TABLE book ADD COLUMN pages int")
    outcome = project.run("verify")
    assert outcome.code == 3
    assert "column public.book.pages: changed by hand" in outcome.out
    assert "part_" not in outcome.out


def test_an_operation_of_a_plugin_is_shown_as_it_is_and_counted(project: Project) -> None:
    with_options(project, PLUGIN.format(dispatch="") + "\noptions = {}\n")
    project.models(BOOK)
    project.revision("0001", BOOK_REVISION, "op.drop_table('book')")
    project.prepare("init")
    outcome = project.run("verify")
    assert outcome.code == 3, outcome.err
    assert "models and database differ: MissingFunction shout" in outcome.out
    outcome = project.run("create-migration", "-m", "shout")
    assert outcome.code == 3, outcome.err
    assert "  MissingFunction shout" in outcome.out
    assert "TODO: MissingFunction shout: it has no renderer" in outcome.out
    project.newest_file.unlink()

    env_py = project.root / "alembic" / "env.py"
    env_py.write_text(env_py.read_text().replace("\noptions = {}", f"{RENDERER}\noptions = {{}}"))
    outcome = project.run("create-migration", "-m", "shout").succeeded()
    assert "CREATE FUNCTION shout" in project.newest_file.read_text()
    project.run("upgrade").succeeded()
    assert "agree" in project.run("verify").succeeded().out
    assert "agree: no file" in project.run("create-migration", "-m", "more").succeeded().out


def test_a_default_that_only_the_dialect_can_write_is_compared(project: Project) -> None:
    project.models(
        """
        import enum
        from sqlalchemy.dialects import postgresql

        class State(enum.StrEnum):
            NEW = "new's"

        class Book(Base):
            __tablename__ = "book"
            id: Mapped[int] = mapped_column(primary_key=True)
            state: Mapped[str] = mapped_column(server_default=State.NEW)
            marks: Mapped[list[int]] = mapped_column(
                postgresql.ARRAY(sa.Integer), server_default=postgresql.array([1, 2])
            )
            data: Mapped[dict] = mapped_column(
                postgresql.JSONB, server_default=sa.text("'{}'::jsonb")
            )
            """
    )
    outcome = project.run("create-migration", "-m", "book").succeeded()
    project.run("init").succeeded()
    outcome = project.run("verify").succeeded()
    assert "agree" in outcome.out
    assert "alembic check: no new operations" in outcome.out
    project.query("ALTER TABLE book ALTER state SET DEFAULT 'old'")
    outcome = project.run("verify")
    assert outcome.code == 3
    assert "column public.book.state: default: changed by hand" in outcome.out


@pytest.fixture
def shelf(tmp_path: Path, new_database_url: str, launcher: Launcher) -> ForeignProject:
    """A project whose env.py is not ours, and includes only what its filter names."""
    kind = next(one for one in KINDS if one.name == "include_schemas")
    return copy_project(kind, tmp_path / "service", new_database_url, launcher)


def test_an_env_py_of_their_own_leaves_out_what_it_does_under_alembic(
    shelf: ForeignProject,
) -> None:
    shelf.run("init").succeeded()
    query(shelf.url, "CREATE SCHEMA other; CREATE TABLE other.thing (id int)")
    query(shelf.url, "CREATE TABLE loose (id int)")
    assert "No new upgrade operations" in shelf.alembic("check").out
    outcome = shelf.run("verify", "-v").succeeded()
    assert "silenced: table other.thing: left out by include_object" in outcome.out
    assert "agree: no file written" in shelf.run("create-migration", "-m", "x").succeeded().out


def test_translated_schemas_are_verified_where_they_are_and_not_written_for_one_tenant(
    shelf: ForeignProject, tmp_path: Path, launcher: Launcher
) -> None:
    kind = next(one for one in KINDS if one.name == "ini_url")
    tenant = copy_project(kind, tmp_path / "tenant", shelf.url, launcher)
    tenant.edit(
        "alembic/env.py",
        "context.configure(connection=connection, target_metadata=Base.metadata)",
        """from sqlalchemy import text
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS north"))
        connection.commit()
        connection = connection.execution_options(schema_translate_map={None: "north"})
        context.configure(
            connection=connection, target_metadata=Base.metadata, version_table_schema="north"
        )""",
    )
    tenant.run("init").succeeded()
    assert query(tenant.url, "SELECT to_regclass('north.books') IS NOT NULL") == [(True,)]
    assert "agree" in tenant.run("verify").succeeded().out
    query(tenant.url, "ALTER TABLE north.books ADD COLUMN by_hand int")
    assert "column north.books.by_hand: changed by hand" in tenant.run("verify").out
    outcome = tenant.run("create-migration", "-m", "x").failed(2)
    assert "env.py sets schema_translate_map" in outcome.error
    assert "public -> north" in outcome.error
    assert outcome.hint == "write it by: alembic revision --autogenerate -m x"
