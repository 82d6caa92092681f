"""`squash`: the oldest revisions as one, which makes the same."""

from __future__ import annotations

import subprocess

import pytest

from tests.support.project import Project

FAILED, MISUSED, DIFFERENT, REFUSED = 1, 2, 3, 4


def commit(project: Project, message: str = "revisions") -> None:
    if not (project.root / ".git").exists():
        git(project, "init", "-q")
        (project.root / ".gitignore").write_text("__pycache__/\n.db_ops/\n")
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", message)


def git(project: Project, *arguments: str) -> str:
    who = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    argv = ["git", *who, *arguments]
    done = subprocess.run(argv, cwd=project.root, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def committed(migrated: Project) -> Project:
    """Three applied revisions that create tables one, two and three, in git."""
    commit(migrated)
    return migrated


def test_databases_past_it_go_on_and_new_ones_are_the_same(committed: Project, door: str) -> None:
    committed.table("0004", "four")
    commit(committed)
    outcome = committed.run("squash", "--until", "0003", door=door).succeeded()
    print(outcome.out)
    assert [path.stem for path in committed.revision_files][0] == "0004"
    print(committed.revision_files[1].read_text())
    assert 0
