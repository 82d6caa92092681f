"""Tables that refer to each other: one order, found from the references."""

from __future__ import annotations

from tests.support.migrations import (
    apply_and_agree,
    create,
    forth_back_forth,
    proven,
    text_of,
    write_models,
)
from tests.support.project import Project

KEEP = """
class Kept(Base):
    __tablename__ = "kept"
    id = mapped_column(sa.Integer, primary_key=True)
"""
CYCLES = (
    KEEP
    + """
class A(Base):
    __tablename__ = "a"
    id = mapped_column(sa.Integer, primary_key=True)
    b_id = mapped_column(sa.ForeignKey("b.id"))
    boss_id = mapped_column(sa.ForeignKey("a.id"))


class B(Base):
    __tablename__ = "b"
    id = mapped_column(sa.Integer, primary_key=True)
    a_id = mapped_column(sa.ForeignKey("a.id", ondelete="CASCADE", name="b_to_a"))
    z_id = mapped_column(sa.ForeignKey("app.z.id"))


class Y(Base):
    __tablename__ = "y"
    __table_args__ = {"schema": "app"}
    id = mapped_column(sa.Integer, primary_key=True)
    z_id = mapped_column(sa.ForeignKey("app.z.id", use_alter=True, name="y_to_z"))


class Z(Base):
    __tablename__ = "z"
    __table_args__ = {"schema": "app"}
    id = mapped_column(sa.Integer, primary_key=True)
    y_id = mapped_column(sa.ForeignKey("app.y.id"))
    kept_id = mapped_column(sa.ForeignKey("kept.id"))
"""
)
ROWS = """
    INSERT INTO kept VALUES (1); INSERT INTO a VALUES (1); INSERT INTO app.y VALUES (1);
    INSERT INTO app.z VALUES (1, 1, 1); INSERT INTO b VALUES (1, 1, 1);
    UPDATE a SET b_id = 1, boss_id = 1; UPDATE app.y SET z_id = 1
"""
KEYS = "SELECT conname FROM pg_constraint WHERE contype = 'f' ORDER BY 1"


def test_tables_of_a_cycle_are_created_and_dropped_without_use_alter(project: Project) -> None:
    write_models(project, CYCLES)
    result = proven(create(project, "create"))
    text = text_of(project, result)
    assert text.index('"kept"') < text.index('"b"')
    assert "SAWarning" not in project.run("create-migration", "-m", "none").succeeded().err
    project.prepare("init")
    keys = project.query(KEYS)
    assert len(keys) == 7
    project.query(ROWS)
    apply_and_agree(project)
    # All of them go, with their rows, and come back with every key.
    write_models(project, KEEP)
    dropped = proven(create(project, "drop"))
    assert "drops table app.z with all its rows" in dropped.losses
    found = forth_back_forth(project, KEYS)
    assert found == [[], keys, []]
    assert project.query("SELECT id FROM kept") == [(1,)]
    project.run("downgrade", "-s", "2").succeeded()


def test_a_parent_that_comes_later_is_created_first(project: Project) -> None:
    """A new table that refers to a unique column that is new as well, and to a new table."""
    write_models(project, KEEP)
    proven(create(project, "create"))
    project.prepare("init")
    project.query("INSERT INTO kept VALUES (1), (2)")
    write_models(
        project,
        KEEP
        + "    code = mapped_column(sa.Integer, unique=True)\n"
        + """
class Child(Base):
    __tablename__ = "a_child"
    id = mapped_column(sa.Integer, primary_key=True)
    code = mapped_column(sa.ForeignKey("kept.code"))
    parent_id = mapped_column(sa.ForeignKey("the_parent.id"))


class Parent(Base):
    __tablename__ = "the_parent"
    id = mapped_column(sa.Integer, primary_key=True)
""",
    )
    text = text_of(project, proven(create(project, "child and parent")))
    assert text.index('create_table(\n        "the_parent"') < text.index('"a_child"')
    apply_and_agree(project)
    project.query("UPDATE kept SET code = id; INSERT INTO a_child VALUES (1, 2, NULL)")
    assert forth_back_forth(project, "SELECT id FROM kept ORDER BY 1")[1] == [(1,), (2,)]


def test_a_dropped_parent_goes_after_the_key_that_refers_to_it(project: Project) -> None:
    models = KEEP.replace("kept", "child").replace("Kept", "Child")
    parent = KEEP.replace("kept", "a_parent").replace("Kept", "Parent")
    write_models(
        project, parent + models + '    parent_id = mapped_column(sa.ForeignKey("a_parent.id"))\n'
    )
    proven(create(project, "create"))
    project.prepare("init")
    project.query("INSERT INTO a_parent VALUES (7); INSERT INTO child VALUES (1, 7)")
    write_models(project, models + "    parent_id = mapped_column(sa.Integer)\n")
    text = text_of(project, proven(create(project, "drop the parent")))
    assert text.index("child_parent_id_fkey") < text.index("drop_table")
    apply_and_agree(project)
    assert project.query("SELECT parent_id FROM child") == [(7,)]
