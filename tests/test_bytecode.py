"""What Python compiles of revision files, and keeps."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.support.project import Project

OLD = 1_600_000_000


def compiled(project: Project) -> list[Path]:
    return list((project.root / "alembic" / "versions").glob("__pycache__/*.pyc"))


@pytest.fixture
def two(project: Project) -> Project:
    """A project with two revisions whose files were written long ago."""
    for path in (project.table("0001", "one"), project.table("0002", "two")):
        os.utime(path, (OLD, OLD))
    return project


def test_revision_files_are_compiled_once_and_kept(two: Project, door: str) -> None:
    two.run("init", door=door, new_interpreter=True).succeeded()
    assert len(compiled(two)) == 2


def test_what_a_command_imports_is_compiled_once_and_kept(two: Project, door: str) -> None:
    kept = two.root / "compiled"
    two.env["PYTHONPYCACHEPREFIX"] = str(kept)
    two.run("status", door=door, new_interpreter=True).succeeded()
    assert "extensions" in {path.name.partition(".")[0] for path in kept.rglob("*.pyc")}


def test_nothing_is_kept_where_the_user_forbids_it(two: Project, door: str) -> None:
    two.env["PYTHONDONTWRITEBYTECODE"] = "1"
    two.env["PYTHONPYCACHEPREFIX"] = str(two.root / "compiled")
    two.run("init", door=door, new_interpreter=True).succeeded()
    assert not list(two.root.rglob("*.pyc"))


def test_a_new_file_changed_within_the_second_is_run_as_it_is_written(two: Project) -> None:
    # In the future, so that it is new however slow this machine is.
    now = int(time.time()) + 600
    path = two.revision("0003", "op.execute('SELECT 1/0')")
    os.utime(path, (now, now))
    two.run("init").failed(1)
    assert compiled(two) == []
    path.write_text(path.read_text().replace("1/0", "1/1"))
    os.utime(path, (now, now))
    two.run("init").succeeded()


def test_nothing_is_kept_of_a_revision_that_was_just_created(project: Project, door: str) -> None:
    project.models("""
        class Book(Base):
            __tablename__ = "books"
            id: Mapped[int] = mapped_column(primary_key=True)
    """)
    project.run("create-migration", "-m", "books", door=door, new_interpreter=True).succeeded()
    assert len(project.revision_files) == 1
    assert compiled(project) == []
