"""Migrations written from models, and run forth and back in a database with rows."""

from __future__ import annotations

import textwrap

from db_ops.errors import ExitCode
from db_ops.results import MigrationCreated
from tests.support.project import MODELS_HEAD, Project

CONVENTION = MODELS_HEAD
NO_CONVENTION = MODELS_HEAD[: MODELS_HEAD.index("    metadata =")] + "    pass\n\n"
# What the revisions of the fixture `migrated` make, and a column that they do not.
THREE_TABLES = """
class One(Base):
    __tablename__ = "one"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str | None]


class Two(Base):
    __tablename__ = "two"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class Three(Base):
    __tablename__ = "three"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
"""


def write_models(project: Project, source: str, head: str = NO_CONVENTION) -> None:
    """Write *source* below a `Base`, which has no naming convention unless *head* says so."""
    (project.root / "models.py").write_text(head + textwrap.dedent(source))


def create(project: Project, message: str = "change", **options: object) -> MigrationCreated:
    """Write a migration, whatever becomes of it."""
    result = project.prepare("create_migration", message, **options)
    assert isinstance(result, MigrationCreated)
    return result


def proven(result: MigrationCreated) -> MigrationCreated:
    """Return *result* if its file is complete and does what it should."""
    assert (result.todos, result.unproven, result.unchecked) == ((), (), ()), result
    assert result.exit_code == ExitCode.DONE
    return result


def text_of(project: Project, result: MigrationCreated) -> str:
    """Return the file that was written."""
    assert result.revision is not None
    return (project.root / result.revision.path).read_text()


def apply_and_agree(project: Project) -> None:
    """Apply what is pending; `verify` has nothing to say then, and there is nothing to write."""
    project.run("upgrade").succeeded()
    assert project.run("verify").succeeded().out.splitlines()[0].count("agree at") == 1


def forth_back_forth(project: Project, *queries: str) -> list[list[tuple[object, ...]]]:
    """Apply what is pending, go back and forth again; return what *queries* find at each stop."""
    found = []
    for command in ("upgrade", "downgrade", "upgrade"):
        project.run(command).succeeded()
        found.append([row for query in queries for row in project.query(query)])
    return found
