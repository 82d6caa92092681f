"""What models say in another spelling, or by DDL events, and what they leave to the database."""

from __future__ import annotations

import json

import pytest

from tests.support.migrations import (
    CONVENTION,
    apply_and_agree,
    create,
    forth_back_forth,
    proven,
    text_of,
    write_models,
)
from tests.support.project import Project

TABLE = """
class Note(Base):
    __tablename__ = "notes"
    id = mapped_column(sa.Integer, primary_key=True)
    body = mapped_column(sa.String(20), nullable=False)
    touched = mapped_column(sa.Integer, nullable=False, server_default="0")
"""
EVENTS = """
def on(event, *statements):
    for statement in statements:
        sa.event.listen(event[0], event[1], sa.DDL(statement))


on(
    (Base.metadata, "before_create"),
    "CREATE EXTENSION IF NOT EXISTS citext",
    "CREATE FUNCTION shout(text) RETURNS text IMMUTABLE LANGUAGE sql AS $$SELECT {shout}($1)$$",
)
on(
    (Note.__table__, "after_create"),
    "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql"
    " AS $$BEGIN NEW.touched := OLD.touched + 1; RETURN NEW; END$$",
    "CREATE TRIGGER touch BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION touch()",
    "ALTER TABLE notes ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY everybody ON notes USING (true)",
)
on(
    (Base.metadata, "after_create"),
    "CREATE VIEW loud AS SELECT id, shout(body) AS body FROM notes WHERE id %% 2 = 1",
)
"""


def test_what_ddl_events_make_is_named_by_verify_and_written(project: Project) -> None:
    write_models(project, TABLE)
    proven(create(project, "create"))
    project.prepare("init")
    project.query("INSERT INTO notes (body) VALUES ('a%'), (''), ('c')")
    write_models(project, TABLE + EVENTS.replace("{shout}", "upper"))
    outcome = project.run("verify")
    assert outcome.code == 3
    named = ("view public.loud", "function public.shout(text)", "trigger public.notes.touch")
    for subject in (*named, "policy public.notes.everybody", "extension citext"):
        assert f"{subject}: the models are ahead of the migrations" in outcome.out, outcome.out
    assert "table public.notes: row security: the models are ahead" in outcome.out
    result = proven(create(project, "events"))
    assert "CREATE TRIGGER touch" in text_of(project, result)
    apply_and_agree(project)
    assert project.query("SELECT id, body FROM loud ORDER BY 1") == [(1, "A%"), (3, "C")]
    project.query("UPDATE notes SET body = 'b' WHERE id = 1")
    stops = forth_back_forth(project, "SELECT count(*) FROM pg_views WHERE viewname = 'loud'")
    assert stops == [[(1,)], [(0,)], [(1,)]]
    assert project.query("SELECT body, touched FROM notes WHERE id = 1") == [("b", 1)]
    # Another body of a function is a change; what models no longer say is left to the migrations.
    write_models(project, TABLE + EVENTS.replace("{shout}", "initcap"))
    result = proven(create(project, "another body"))
    assert any("function shout" in operation for operation in result.operations)
    apply_and_agree(project)
    write_models(project, TABLE)
    assert create(project).revision is None
    assert "agree at" in project.run("verify").succeeded().out


def test_a_new_table_waits_for_the_function_that_an_event_makes(project: Project) -> None:
    write_models(project, TABLE)
    proven(create(project, "create"))
    project.prepare("init")
    write_models(
        project,
        TABLE
        + EVENTS.replace("{shout}", "upper")
        + """
class Loud(Base):
    __tablename__ = "louds"
    id = mapped_column(sa.Integer, primary_key=True)
    body = mapped_column(sa.Text, server_default=sa.text("shout('x')"))
    __table_args__ = (sa.CheckConstraint("shout(body) = body", name="loud"),)
""",
    )
    proven(create(project, "louds"))
    apply_and_agree(project)
    assert project.query("INSERT INTO louds DEFAULT VALUES RETURNING body") == [("X",)]
    forth_back_forth(project)


DEFAULTS = (
    ("sa.DateTime(timezone=True)", "sa.func.now()", "sa.text('CURRENT_TIMESTAMP')"),
    ("sa.DateTime()", "sa.text('transaction_timestamp()')", "sa.func.now()"),
    ("sa.String(9)", "sa.text(\"''::text\")", "sa.text(\"''::varchar\")"),
    ("sa.Text", "'a'", "sa.text(\"'a'::varchar\")"),
    ("sa.Numeric(9, 2)", "'0'", "sa.text('0')"),
    ("sa.BigInteger", "sa.text(\"'-1'::integer\")", "sa.text('-1')"),
    ("sa.Boolean", "sa.text(\"'t'\")", "sa.true()"),
)


def test_equal_defaults_in_two_spellings_are_no_difference(project: Project) -> None:
    def models(which: int, **changed: str) -> str:
        columns = (
            f"    c{number} = mapped_column({kind}, server_default={both[which]})\n"
            for number, (kind, *both) in enumerate(DEFAULTS)
        )
        return TABLE + "".join(columns)

    write_models(project, models(0), CONVENTION)
    proven(create(project, "create"))
    project.prepare("init")
    project.query("INSERT INTO notes (body) VALUES ('x')")
    write_models(project, models(1), CONVENTION)
    assert create(project).operations == ()
    outcome = project.run("verify").succeeded()
    assert "agree at" in outcome.out
    # A cast that cuts, and another number, are other values.
    other = models(1).replace("''::varchar", "'abc'::varchar(2)").replace("text('0')", "text('1')")
    write_models(project, other, CONVENTION)
    assert len(proven(create(project, "others")).operations) == 2


def test_a_value_that_a_downgrade_leaves_was_not_changed_by_hand(project: Project) -> None:
    project.revision(
        "0001",
        "op.execute(\"CREATE TYPE kind AS ENUM ('a', 'c')\")\n"
        "op.execute('CREATE TABLE t (id integer PRIMARY KEY, kind kind)')",
        "op.execute('DROP TABLE t'); op.execute('DROP TYPE kind')",
    )
    project.revision(
        "0002",
        "with op.get_context().autocommit_block():\n"
        "    op.execute(\"ALTER TYPE kind ADD VALUE IF NOT EXISTS 'b' BEFORE 'c'\")",
    )
    project.prepare("init")
    project.query("INSERT INTO t VALUES (1, 'a')")
    project.run("downgrade").succeeded()
    outcome = project.run("verify")
    assert "revision 0002 is not applied" in outcome.out
    assert "changed by hand" not in outcome.out
    # A value that no revision adds was.
    project.query("ALTER TYPE kind ADD VALUE 'z'")
    assert "enum public.kind: values: changed by hand" in project.run("verify").out


def test_a_type_that_holds_more_loses_nothing(project: Project) -> None:
    write_models(project, TABLE)
    proven(create(project, "create"))
    project.prepare("init")
    project.query("INSERT INTO notes (body) VALUES ('twenty characters 20')")
    for wider in ("sa.String(40)", "sa.String", "sa.Text"):
        write_models(project, TABLE.replace("sa.String(20)", wider))
        assert not create(project, "widen", irreversible=True).losses
        project.newest_file.unlink()
    # The same of a database that was changed by hand.
    write_models(project, TABLE)
    project.query("ALTER TABLE notes ALTER touched TYPE smallint")
    (difference,) = json.loads(project.run("verify", "--json").out)["differences"]
    assert not difference["loses_data"]
    project.query("ALTER TABLE notes ALTER touched TYPE integer, ALTER body TYPE text")
    (difference,) = json.loads(project.run("verify", "--json").out)["differences"]
    assert difference["loses_data"]


def test_a_column_that_is_computed_or_counted_is_no_volatile_default(project: Project) -> None:
    write_models(project, TABLE)
    proven(create(project, "create"))
    write_models(
        project,
        TABLE
        + "    size = mapped_column(sa.Integer, sa.Computed('length(body)', persisted=True))\n"
        + "    number = mapped_column(sa.Integer, sa.Identity())\n"
        + "    drawn = mapped_column(sa.Float, server_default=sa.text('random()'))\n",
    )
    result = create(project, "columns")
    found = {one.on.rpartition(".")[2]: one.name for one in result.unsafe}
    assert found["size"] == "generated-column"
    assert found["number"] == "identity-column"
    assert found["drawn"] == "volatile-default"
    assert all("without a default" not in one.instead for one in result.unsafe if "size" in one.on)


@pytest.mark.parametrize("in_database", [False, True])
def test_an_accepted_difference_is_not_written(project: Project, in_database: bool) -> None:
    """Whatever the database had when it was accepted."""
    write_models(project, TABLE)
    proven(create(project, "create"))
    project.prepare("init")
    with_column = TABLE + "    extra = mapped_column(sa.Integer)\n"
    if in_database:
        project.query("ALTER TABLE notes ADD extra integer")
    write_models(project, with_column)
    project.run("verify", "--accept").succeeded()
    assert create(project).revision is None
    write_models(project, with_column + "    more = mapped_column(sa.Integer)\n")
    assert proven(create(project, "more")).operations == ("add column notes.more (integer)",)
