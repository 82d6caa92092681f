"""A naming convention that models got after their tables, and types that bring a CHECK along."""

from __future__ import annotations

import json

import pytest

from tests.support.migrations import (
    CONVENTION,
    apply_and_agree,
    create,
    proven,
    text_of,
    write_models,
)
from tests.support.project import Project

HOUSE = """
class Team(Base):
    __tablename__ = "teams"
    id = mapped_column(sa.Integer, primary_key=True)
    name = mapped_column(sa.String(20), unique=True, index=True)
    kind = mapped_column(sa.Enum("a", "b", name="kind", native_enum=False, create_constraint=True))


class User(Base):
    __tablename__ = "users"
    id = mapped_column(sa.Integer, primary_key=True)
    team_id = mapped_column(sa.ForeignKey("teams.id"))
    first = mapped_column(sa.Text)
    last = mapped_column(sa.Text)
    age = mapped_column(sa.Integer)
    on = mapped_column(sa.Boolean(create_constraint=True, name="on_bool"))
    __table_args__ = (
        sa.CheckConstraint("age > 0", name="age_pos"),
        sa.UniqueConstraint("first", "last"),
        sa.UniqueConstraint("age", "last", name="odd"),
    )
"""
ROWS = (
    "INSERT INTO teams VALUES (1, 'x', 'a'), (2, 'y', 'b'), (3, NULL, NULL)",
    "INSERT INTO users VALUES (1, 1, 'f', 'l', 5, true), (2, 3, NULL, '', 7, NULL)",
)
NAMES = """
    SELECT conname FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND contype <> 'n' AND conname !~ 'alembic'
    ORDER BY 1
"""


def names(project: Project) -> list[object]:
    return [name for (name,) in project.query(NAMES)]


def test_a_convention_added_later_is_one_rename_in_old_and_new_databases(
    project: Project,
) -> None:
    write_models(project, HOUSE)
    first = proven(create(project, "create"))
    project.prepare("init")
    for rows in ROWS:
        project.query(rows)
    by_server = names(project)
    assert "users_pkey" in by_server
    write_models(project, HOUSE, CONVENTION)
    result = proven(create(project, "name by convention"))
    assert text_of(project, result).count("op.execute(") == 2 * len(result.operations)
    assert "ALTER TABLE" not in text_of(project, first)
    apply_and_agree(project)
    by_convention = names(project)
    assert {"pk_users", "ck_teams_kind", "fk_users_team_id_teams"} < set(by_convention)
    project.run("downgrade").succeeded()
    assert names(project) == by_server
    project.run("upgrade").succeeded()
    assert project.query("SELECT count(*) FROM users JOIN teams ON team_id = teams.id") == [(2,)]
    # A database that is made only now runs the first file under the convention.
    project.prepare("recreate", confirm=project.url.rpartition("/")[2])
    assert names(project) == by_convention
    assert create(project).revision is None


def test_the_check_of_an_enum_and_of_a_boolean_has_one_name_and_no_false_difference(
    project: Project,
) -> None:
    write_models(project, HOUSE, CONVENTION)
    proven(create(project, "create"))
    project.prepare("init")
    for rows in ROWS:
        project.query(rows)
    apply_and_agree(project)
    assert project.alembic("check").succeeded()
    assert [name for name in names(project) if "kind" in str(name) or "on" in str(name)] == [
        "ck_teams_kind"
    ]
    # More values, a new column of such a type, inside of a type of the user's too.
    write_models(
        project,
        "class Kind(sa.TypeDecorator):\n"
        "    impl = sa.Enum('u', 'v%', 'w:d', name='x', native_enum=False,"
        " create_constraint=True)\n"
        "    cache_ok = True\n"
        + HOUSE.replace('"a", "b"', '"a", "b", "it\'s"').replace(
            "    age =", "    kind = mapped_column(Kind)\n    age ="
        ),
        CONVENTION,
    )
    proven(create(project, "more"))
    apply_and_agree(project)
    project.query("UPDATE users SET kind = 'v%'; UPDATE teams SET kind = 'it''s' WHERE id = 2")
    assert "ck_users_x" in names(project)
    assert "ck_teams_kind" in project.run("downgrade").failed(1).error
    project.query("UPDATE teams SET kind = 'a'")
    project.run("downgrade").succeeded()
    assert names(project).count("ck_teams_kind") == 1
    project.run("upgrade").succeeded()


def test_constraints_without_a_name_are_written_with_the_one_that_the_server_gives(
    project: Project,
) -> None:
    """Names that are cut, that count, that are quoted; whatever cannot be told is a statement."""
    write_models(
        project,
        """
        class Long(Base):
            __tablename__ = "a_table_with_quite_a_long_name_that_goes_on_and_on"
            id = mapped_column(sa.Integer, primary_key=True)
            a_column_with_a_long_name_too = mapped_column(sa.Integer, unique=True)
            other_id = mapped_column(
                sa.ForeignKey("a_table_with_quite_a_long_name_that_goes_on_and_on.id"))


        class Mixed(Base):
            __tablename__ = "Mixed Case"
            id = mapped_column("The Id", sa.Integer, primary_key=True)
            first = mapped_column("a,b", sa.Integer)
            second = mapped_column('c"d', sa.Integer)
            __table_args__ = (
                sa.UniqueConstraint("a,b", 'c"d'),
                sa.UniqueConstraint('c"d', "a,b"),
                sa.CheckConstraint('"a,b" > 0'),
                sa.CheckConstraint('"a,b" < 9'),
                sa.CheckConstraint('"The Id" > 0 AND "a,b" > 1'),
            )
        """,
    )
    first = proven(create(project, "create"))
    project.prepare("init")
    project.query('INSERT INTO "Mixed Case" VALUES (1, 2, 3)')
    apply_and_agree(project)
    before = names(project)
    assert len(before) == 9
    assert all(str(name) in text_of(project, first).replace("\\", "") for name in before)


OLD_COLUMNS = "sa.Column('id', sa.Integer, primary_key=True), sa.Column('n', sa.Integer{})"
OLD_FILE = (
    f"op.create_table('a', {OLD_COLUMNS.format(', unique=True')},"
    " sa.Column('m', sa.Integer, index=True), sa.CheckConstraint('n < 100', name='small'))\n"
    f"op.create_table('b', {OLD_COLUMNS.format('')}, sa.ForeignKeyConstraint(['n'], ['a.n']))"
)
OLD_MODELS = """
class A(Base):
    __tablename__ = "a"
    id = mapped_column(sa.Integer, primary_key=True)
    n = mapped_column(sa.Integer, unique=True)
    m = mapped_column(sa.Integer, index=True)
    __table_args__ = (sa.CheckConstraint("n < 100", name="small"),)


class B(Base):
    __tablename__ = "b"
    id = mapped_column(sa.Integer, primary_key=True)
    n = mapped_column(sa.ForeignKey("a.n"))
"""
NAMED_BY_SERVER = ["a_n_key", "a_pkey", "b_n_fkey", "b_pkey", "small"]
NAMED_BY_CONVENTION = ["ck_a_small", "fk_b_n_a", "pk_a", "pk_b", "uq_a_n"]


@pytest.fixture
def old(project: Project) -> Project:
    """A project whose files name nothing, and a database from before models had a convention."""
    write_models(project, OLD_MODELS)
    project.revision("0001", OLD_FILE, "op.drop_table('b')\nop.drop_table('a')")
    project.prepare("init")
    project.query("INSERT INTO a VALUES (1, 5); INSERT INTO b VALUES (1, 5)")
    assert names(project) == NAMED_BY_SERVER
    write_models(project, OLD_MODELS, CONVENTION)
    return project


def test_names_that_no_file_gives_are_put_right_by_one_migration_in_old_and_new_databases(
    old: Project,
) -> None:
    document = json.loads(old.run("verify", "--json").out)
    assert len(document["differences"]) == 2 * len(NAMED_BY_SERVER)
    assert all("create-migration" in one["remedy"] for one in document["differences"])
    assert "before the naming convention" in document["differences"][0]["description"]
    result = proven(create(old, "names of the convention"))
    older = "in databases from before the naming convention"
    assert f"rename constraint a.a_n_key to uq_a_n, {older}" in result.operations
    assert "names by the naming convention stay" in result.kept[0]
    # It is pending then, and nobody's hand.
    document = json.loads(old.run("verify", "--json").out)
    assert all(one["remedy"].endswith(" upgrade") for one in document["differences"])
    apply_and_agree(old)
    assert names(old) == NAMED_BY_CONVENTION
    assert old.query("SELECT n FROM b JOIN a USING (n)") == [(5,)]
    assert create(old).revision is None
    old.run("downgrade").succeeded()
    old.run("upgrade").succeeded()
    # The same file, where the first one has run under the convention.
    old.prepare("recreate", confirm=old.url.rpartition("/")[2])
    assert names(old) == NAMED_BY_CONVENTION
    assert old.run("verify").succeeded()


def test_a_change_of_models_finds_older_names_as_well_as_new_ones(old: Project) -> None:
    """Without the rename, what drops a constraint by its new name fails in an older database."""
    changed = OLD_MODELS.replace(", unique=True", "").replace('ForeignKey("a.n")', "Integer")
    write_models(old, changed, CONVENTION.replace("ix_", "idx_"))
    result = proven(create(old, "less"))
    assert any(one.startswith("drop constraint a.uq_a_n") for one in result.operations)
    apply_and_agree(old)
    assert names(old) == ["ck_a_small", "pk_a", "pk_b"]
    assert old.query("SELECT indexname FROM pg_indexes WHERE indexname ~ 'a_m'") == [("idx_a_m",)]
    old.run("downgrade").succeeded()
    old.run("upgrade").succeeded()


def test_files_that_rely_on_the_convention_leave_no_older_names(project: Project) -> None:
    write_models(project, OLD_MODELS.partition("class B")[0], CONVENTION)
    project.revision("0001", OLD_FILE, "op.drop_table('b')\nop.drop_table('a')")
    project.revision("0002", "op.drop_constraint('fk_b_n_a', 'b')\nop.drop_table('b')", "pass")
    project.prepare("init")
    assert create(project).revision is None
    apply_and_agree(project)


def test_a_name_that_a_hand_has_changed_is_put_right_by_a_rename(project: Project) -> None:
    write_models(project, OLD_MODELS)
    project.revision("0001", OLD_FILE, "op.drop_table('b')\nop.drop_table('a')")
    project.prepare("init")
    project.query(
        "ALTER TABLE a RENAME CONSTRAINT small TO tiny; ALTER INDEX ix_a_m RENAME TO by_m"
    )
    document = json.loads(project.run("verify", "--json").out)
    remedies = {one["remedy"] for one in document["differences"]}
    assert remedies == {
        "ALTER TABLE public.a RENAME CONSTRAINT tiny TO small",
        "ALTER INDEX public.by_m RENAME TO ix_a_m",
    }
    for remedy in remedies:
        project.query(remedy)
    apply_and_agree(project)
