"""A naming convention that models got after their tables, and types that bring a CHECK along."""

from __future__ import annotations

import json

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


def test_names_of_files_without_them_are_put_right_by_renames(project: Project) -> None:
    """Files that another tool wrote name nothing: the convention names new databases only."""
    write_models(project, HOUSE)
    columns = "sa.Column('id', sa.Integer, primary_key=True), sa.Column('n', sa.Integer{})"
    project.revision(
        "0001",
        f"op.create_table('a', {columns.format(', unique=True')})\n"
        f"op.create_table('b', {columns.format('')}, sa.ForeignKeyConstraint(['n'], ['a.n']))",
        "op.drop_table('b')\nop.drop_table('a')",
    )
    project.prepare("init")
    project.query("INSERT INTO a VALUES (1, 5); INSERT INTO b VALUES (1, 5)")
    models = """
class A(Base):
    __tablename__ = "a"
    id = mapped_column(sa.Integer, primary_key=True)
    n = mapped_column(sa.Integer, unique=True)


class B(Base):
    __tablename__ = "b"
    id = mapped_column(sa.Integer, primary_key=True)
    n = mapped_column(sa.ForeignKey("a.n"))
"""
    write_models(project, models, CONVENTION)
    document = json.loads(project.run("verify", "--json").out)
    remedies = {one["remedies"][-1] for one in document["differences"]}
    assert remedies == {
        "ALTER TABLE public.a RENAME CONSTRAINT a_pkey TO pk_a",
        "ALTER TABLE public.a RENAME CONSTRAINT a_n_key TO uq_a_n",
        "ALTER TABLE public.b RENAME CONSTRAINT b_pkey TO pk_b",
        "ALTER TABLE public.b RENAME CONSTRAINT b_n_fkey TO fk_b_n_a",
    }
    for remedy in remedies:
        project.query(remedy)
    apply_and_agree(project)
    assert project.query("SELECT n FROM b JOIN a USING (n)") == [(5,)]
