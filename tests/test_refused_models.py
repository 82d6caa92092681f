"""Models that the server refuses to build are never said to agree: what comes first is named."""

from __future__ import annotations

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
