"""A percent sign in SQL of the models is one percent sign in the database, and in its rows."""

from __future__ import annotations

from tests.support.project import Project

AGENT = """
from sqlalchemy.dialects import postgresql


class Agent(Base):
    __tablename__ = "agents"
    id: Mapped[int] = mapped_column(primary_key=True)
"""
PERCENT = """
    sure = mapped_column(sa.Text, server_default=sa.text("'100% sure'"))
    plain = mapped_column(sa.Text, server_default="50% %s %(x)s %%")
    share = mapped_column("share%", sa.Text, server_default=sa.func.concat("5", "%"))
    rest = mapped_column(sa.Integer, sa.Computed("id % 10", persisted=True))
    state = mapped_column(sa.Enum("0%", "100%", name="state"), server_default="100%")
    during = mapped_column(postgresql.INT4RANGE)
    __table_args__ = (
        sa.CheckConstraint("id % 7 < 7", name="seven"),
        sa.CheckConstraint(sa.column("plain").like("%5%"), name="like"),
        sa.Index("ix_rest", sa.text("(id % 3)")),
        sa.Index("ix_sure", "sure", postgresql_where=sa.text("sure LIKE '1%'")),
        postgresql.ExcludeConstraint(
            ("during", "&&"), name="no", where=sa.text("id % 2 = 0"), using="gist"
        ),
        {"comment": "5% off"},
    )
"""
DEFINITIONS = """
    SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'agents'::regclass
        AND contype IN ('c', 'x')
    UNION ALL SELECT indexdef FROM pg_indexes WHERE tablename = 'agents'
    UNION ALL SELECT obj_description('agents'::regclass)
"""


def test_percent_signs_are_not_doubled_in_rows_and_definitions(project: Project) -> None:
    project.models(AGENT)
    project.prepare("create_migration", "agents")
    project.prepare("init")
    project.query("INSERT INTO agents DEFAULT VALUES; INSERT INTO agents DEFAULT VALUES")
    project.models(AGENT + PERCENT)
    outcome = project.run("create-migration", "-m", "percent").succeeded()
    assert "%%" not in project.newest_file.read_text().replace("%(x)s %%", ""), outcome.out
    project.run("upgrade").succeeded()
    project.query("INSERT INTO agents DEFAULT VALUES")
    rows = project.query('SELECT id, sure, plain, "share%", rest, state::text FROM agents')
    assert rows == [
        (number, "100% sure", "50% %s %(x)s %%", "5%", number, "100%") for number in (1, 2, 3)
    ]
    text = "\n".join(str(row[0]) for row in project.query(DEFINITIONS))
    assert "%%" not in text
    for part in ("(id % 7)", "'%5%'", "(id % 3)", "'1%'", "(id % 2)", "5% off"):
        assert part in text, text
    project.run("verify").succeeded()
    outcome = project.run("create-migration", "-m", "again").succeeded()
    assert "agree" in outcome.out
    project.run("downgrade").succeeded()
    assert project.query("SELECT * FROM agents ORDER BY id") == [(1,), (2,), (3,)]


def test_percent_signs_that_models_no_longer_have_come_back_as_they_were(project: Project) -> None:
    project.models(AGENT + PERCENT)
    project.prepare("create_migration", "agents")
    project.prepare("init")
    before = sorted(project.query(DEFINITIONS))
    project.query("INSERT INTO agents DEFAULT VALUES")
    without = PERCENT[: PERCENT.index("    __table_args__")].replace("100% sure", "sure")
    project.models(AGENT + without)
    project.run("create-migration", "-m", "less").succeeded()
    project.run("upgrade").succeeded()
    project.query("INSERT INTO agents DEFAULT VALUES")
    project.run("downgrade").succeeded()
    project.query("INSERT INTO agents DEFAULT VALUES")
    assert sorted(project.query(DEFINITIONS)) == before
    rows = project.query("SELECT sure, rest FROM agents ORDER BY id")
    assert rows == [("100% sure", 1), ("sure", 2), ("100% sure", 3)]
