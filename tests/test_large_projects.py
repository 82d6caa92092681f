"""What is printed of a large project fits one screen; the rest comes with `--verbose`."""

from __future__ import annotations

import json

from tests.support.project import Project

TABLES = 12
SCREEN = 60


def models(column: str) -> str:
    return "".join(
        f"""
    class Table{number}(Base):
        __tablename__ = "table_{number}"
        id: Mapped[int] = mapped_column(primary_key=True)
        parent: Mapped[int | None] = mapped_column(sa.ForeignKey("table_0.id"))
        {column}
"""
        for number in range(TABLES)
    )


def test_a_change_of_many_tables_is_told_on_one_screen(project: Project) -> None:
    project.models(
        models("").replace('mapped_column(sa.ForeignKey("table_0.id"))', "mapped_column()")
    )
    project.run("create-migration", "-m", "tables").succeeded()
    project.run("init").succeeded()
    project.models(models("name: Mapped[str] = mapped_column(server_default='x')"))
    outcome = project.run("create-migration", "-m", "references").succeeded()
    lines = outcome.out.splitlines()
    assert len(lines) <= SCREEN, outcome.out
    assert max(map(len, lines)) < 600
    assert f"  {2 * TABLES - 15} more: --verbose" in lines
    assert "more of the same kind, foreign-key: --verbose" in outcome.out
    project.newest_file.unlink()

    project.query("".join(f"ALTER TABLE table_{n} ADD COLUMN by_hand int;" for n in range(TABLES)))
    outcome = project.run("verify")
    assert outcome.code == 3
    lines = outcome.out.splitlines()
    assert len(lines) <= SCREEN, outcome.out
    assert f"drift column {TABLES}" in outcome.out
    assert max(map(len, lines)) < 600
    assert f"alembic check: {3 * TABLES} operations: " in outcome.out
    whole = project.run("verify", "-v")
    assert f"column public.table_{TABLES - 1}.by_hand: changed by hand" in whole.out
    document = json.loads(project.run("verify", "--json").out)
    assert len(document["differences"]) == 3 * TABLES
