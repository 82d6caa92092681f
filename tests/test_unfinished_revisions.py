"""A revision that still holds a TODO is applied only if somebody says so."""

from __future__ import annotations

import pytest

from tests.support.migrations import create, proven, write_models
from tests.support.project import Project

MODELS = """
class T(Base):
    __tablename__ = "t"
    id = mapped_column(sa.Integer, primary_key=True)
    kind = mapped_column({})
"""


@pytest.fixture
def unfinished(project: Project) -> Project:
    """A database with rows, and a revision that leaves something to be written."""
    write_models(project, MODELS.format("sa.ARRAY(sa.Text)"))
    proven(create(project, "create"))
    project.prepare("init")
    project.query("INSERT INTO t (kind) VALUES ('{b}'), ('{}'), (NULL)")
    # No cast leads from one to the other.
    write_models(project, MODELS.format("sa.Integer") + "    note = mapped_column(sa.Text)\n")
    assert create(project, "one").todos
    return project


def test_an_unfinished_revision_is_refused_by_every_command_that_applies_it(
    unfinished: Project,
) -> None:
    path = f"alembic/versions/{unfinished.newest_file.name}"
    before = unfinished.fingerprint()
    for command in ("upgrade", "init"):
        outcome = unfinished.run(command).failed(1)
        assert f"{path}: still holds 1 TODO" in outcome.error
        assert "upgrade --unfinished" in outcome.hint
        assert unfinished.fingerprint() == before
    assert path in unfinished.run("recreate").failed(1).error
    assert unfinished.fingerprint() == before
    unfinished.run("upgrade", "--plan").succeeded()
    # Up to the one before is nobody's business.
    first = unfinished.query("SELECT version_num FROM alembic_version")[0][0]
    unfinished.run("upgrade", "-r", str(first)).succeeded()


def test_an_unfinished_revision_is_applied_where_that_is_said(unfinished: Project) -> None:
    unfinished.run("upgrade", "--unfinished").succeeded()
    assert unfinished.query("SELECT kind::text, note FROM t ORDER BY id") == [
        ("{b}", None),
        ("{}", None),
        (None, None),
    ]
    # What was applied is past; nothing is asked again.
    unfinished.run("upgrade").succeeded()
    unfinished.run("init").succeeded()


def test_a_new_database_is_not_made_by_an_unfinished_revision(unfinished: Project) -> None:
    unfinished.run("delete-db").succeeded()
    outcome = unfinished.run("init").failed(1)
    assert "still holds 1 TODO" in outcome.error
    assert "does not exist" in unfinished.run("status").succeeded().out
    # Once it is written, the comment is deleted, and all is well.
    path = unfinished.newest_file
    path.write_text(path.read_text().replace("TODO(db_ops):", "by hand:"))
    unfinished.run("init").succeeded()
