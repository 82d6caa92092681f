"""Models that the server refuses to build are never said to agree: what comes first is named."""

from __future__ import annotations

import json
import re

from tests.support.project import Project

DOC = """
from sqlalchemy.dialects import postgresql


class Vector(sa.types.UserDefinedType):
    cache_ok = True

    def get_col_spec(self):
        return "vector(3)"


class Geometry(sa.types.UserDefinedType):
    cache_ok = True

    def get_col_spec(self):
        return "geometry"


class Other(Base):
    __tablename__ = "others"
    id: Mapped[int] = mapped_column(primary_key=True)


class Doc(Base):
    __tablename__ = "docs"
    id: Mapped[int] = mapped_column(primary_key=True)
    x = mapped_column({})
    during = mapped_column(postgresql.INT4RANGE)
"""
REFUSED = {
    "Geometry": (
        'type "geometry" does not exist',
        "(CREATE EXTENSION IF NOT EXISTS postgis CASCADE)",
    ),
    "sa.Text, server_default=sa.text('no_such()')": ("no_such", "creates the function"),
    "sa.Text(collation='nowhere')": ("nowhere", "creates the type, collation or operator class"),
    "sa.Integer, server_default=sa.text(\"nextval('nowhere')\")": ("nowhere", "or sequence"),
    "sa.Integer, sa.CheckConstraint('x && 1', name='x')": ("operator", "creates the function"),
    "sa.Integer, server_default=sa.text(\"'many'\")": ("many", "correct the model"),
}


def test_nothing_is_written_for_models_that_the_server_refuses(project: Project) -> None:
    for column, (reason, remedy) in REFUSED.items():
        project.models(DOC.format(column))
        outcome = project.run("create-migration", "-m", "docs").failed(1)
        line = (project.root / "models.py").read_text().splitlines().index("class Doc(Base):") + 1
        assert outcome.error.startswith(f"models.py:{line}: the server refused table docs: ")
        assert reason in outcome.error
        assert remedy in outcome.hint, outcome.hint
        assert "agree" not in outcome.out
    assert project.revision_files == []


def test_an_extension_that_the_server_has_is_offered_and_written_first(project: Project) -> None:
    exclude = 'postgresql.ExcludeConstraint(("x", "="), ("during", "&&"), name="no", using="gist")'
    table_args = f"    __table_args__ = ({exclude},)\n"
    for column, rest, extension in (
        ("Vector", "", "vector"),
        ("sa.Integer", table_args, "btree_gist"),
        ("sa.Text", '    __table_args__ = (sa.Index("ix", "x", postgresql_using="gin",'
         ' postgresql_ops={"x": "gin_trgm_ops"}),)\n', "pg_trgm"),
    ):  # fmt: skip
        project.models(DOC.format(column) + rest)
        outcome = project.run("create-migration", "-m", "add docs").failed(1)
        offered = f"create-migration -m 'add docs' --extension {extension}"
        assert outcome.hint.endswith(offered), outcome.hint
    arguments = ("create-migration", "-m", "docs", "--extension", "pg_trgm")
    outcome = project.run(*arguments).succeeded()
    assert "create extension pg_trgm" in outcome.out
    project.run("init").succeeded()
    assert project.query("SELECT count(*) FROM pg_extension WHERE extname = 'pg_trgm'") == [(1,)]
    project.run("create-migration", "-m", "again").succeeded()
    project.run("verify").succeeded()
    project.run("downgrade").succeeded()
    assert project.query("SELECT count(*) FROM pg_extension WHERE extname = 'pg_trgm'") == [(0,)]


def test_types_that_no_table_creates_are_compared_and_written(project: Project) -> None:
    enum = 'postgresql.ENUM("new", "done", name="state", schema="kinds", create_type=False)'
    project.models(DOC.format(enum))
    outcome = project.run("create-migration", "-m", "docs").succeeded()
    assert "add enum kinds.state" in outcome.out
    project.run("init").succeeded()
    project.query("INSERT INTO docs (x) VALUES ('done')")
    # An array of it, and one more value, which a comparison has to see although no table makes it.
    several = enum.replace('"done"', '"done", "late"')
    project.models(DOC.format(several) + f"    y = mapped_column(postgresql.ARRAY({several}))\n")
    outcome = project.run("create-migration", "-m", "late").succeeded()
    assert "change values of enum kinds.state" in outcome.out
    project.run("upgrade").succeeded()
    project.query("INSERT INTO docs (x, y) VALUES ('late', '{new,late}')")
    project.run("verify").succeeded()


SHELVES = """
    op.execute("CREATE EXTENSION pg_trgm")
    op.execute("CREATE TABLE shelves (id serial PRIMARY KEY, name text)")
    op.execute("CREATE TABLE books (id serial PRIMARY KEY, shelf text, name text, pages int)")
    op.execute("CREATE INDEX ix_name ON shelves USING gin (name gin_trgm_ops)")
    op.execute("CREATE INDEX ix_twice ON shelves (name DESC)")
"""
REFUSED_ALONE = """
# A foreign key gets its name from the server.
Base.metadata.naming_convention = {**Base.metadata.naming_convention, "fk": None}


class Shelf(Base):
    __tablename__ = "shelves"
    id: Mapped[int] = mapped_column(primary_key=True)
    name = mapped_column(sa.Text)
    height = mapped_column(sa.Integer)
    __table_args__ = (
        sa.Index("ix_name", "name", postgresql_using="gin"),
        sa.Index("ix_twice", "name"),
        sa.Index("ix_twice", "id"),
    )


class Book(Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    shelf = mapped_column(sa.Text, sa.ForeignKey("shelves.id", name="fk_shelf", use_alter=True))
    name = mapped_column(sa.Text, sa.ForeignKey("shelves.name"))
    pages = mapped_column(sa.Integer)
    __table_args__ = (
        sa.CheckConstraint("pages + ''", name="sum"),
        sa.CheckConstraint("pages > 0", name="positive"),
    )
"""
INDEXES = "SELECT indexdef FROM pg_indexes WHERE indexname IN ('ix_name', 'ix_twice') ORDER BY 1"


def test_the_rest_is_written_where_an_index_or_a_constraint_is_refused(project: Project) -> None:
    project.revision("0001", SHELVES)
    project.run("init").succeeded()
    before = project.query(INDEXES)
    project.models(REFUSED_ALONE)
    outcome = project.run("create-migration", "-m", "height")
    assert outcome.code == 3, outcome.err
    said = re.findall(r"(?m)^left out: (.*) \(models.py:\d+\): the server refused", outcome.out)
    assert sorted(said) == [
        "constraint books_name_fkey on books",
        "constraint ck_books_sum on books",
        "constraint fk_shelf on books",
        "index ix_name on shelves",
        "index ix_twice on shelves",
    ]
    assert "no default operator class" in outcome.out
    written = project.revision_files[-1].read_text()
    assert "height" in written
    assert "ck_books_positive" in written
    assert not re.search("ix_|fk_shelf|_sum|fkey", written)
    project.run("upgrade").succeeded()
    assert project.query(INDEXES) == before
    outcome = project.run("verify")
    assert outcome.code == 3
    assert ": compared in part only: " in outcome.out
    assert "the models are ahead" not in outcome.out
    outcome = project.run("create-migration", "-m", "more", "--json")
    found = json.loads(outcome.out)
    assert outcome.code == 3
    assert (found["revision"], len(found["left_out"])) == (None, 5)
    assert len(project.revision_files) == 2


def test_a_refused_table_is_an_error_with_a_refused_index_named_beside_it(project: Project) -> None:
    project.models(DOC.format("Geometry") + REFUSED_ALONE)
    outcome = project.run("create-migration", "-m", "docs").failed(1)
    assert "the server refused table docs: " in outcome.error
    assert "also refused: CREATE INDEX ix_twice" in outcome.err
    assert project.revision_files == []
