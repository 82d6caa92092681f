"""Templates of revision files, hooks and files as other people have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.foreign import KINDS, ForeignProject, copy_project
from tests.support.launcher import Launcher
from tests.support.project import Project

MODEL = """
class Book(Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
"""
BODY = """
import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade():
    ${upgrades if upgrades else "pass"}
"""
DOWNGRADE = """

def downgrade():
    ${downgrades if downgrades else "pass"}
"""
DOCSTRINGS = {
    "begins with a line break": ('"""\n${message}\n\nCreated: ${create_date}\n"""\n', "books"),
    "of blank lines": ('"""\n\n"""\n', ""),
    "in raw quotes": ('r"""${message}"""\n', "books"),
    "in single quotes": ("'${message}'\n", "books"),
    "in triple single quotes": ("'''\n\n  ${message}\n'''\n", "books"),
    "none": ("# ${message}\n", ""),
}


def write_template(project: Project, text: str) -> None:
    (project.root / "alembic" / "script.py.mako").write_bytes(text.encode())


@pytest.mark.parametrize(("docstring", "said"), DOCSTRINGS.values(), ids=list(DOCSTRINGS))
def test_what_a_revision_does_stands_below_what_it_is_about(
    project: Project, docstring: str, said: str
) -> None:
    project.models(MODEL)
    write_template(project, docstring + BODY + DOWNGRADE)
    project.run("create-migration", "-m", "books").succeeded()
    source = project.newest_file.read_text()
    described = compile(source, "x", "exec").co_consts[0]
    assert "- add table books" in described
    lines = [line.strip() for line in described.splitlines() if line.strip()]
    if said:
        assert lines[:2] == [said, "- add table books"]


def test_line_ends_of_the_template_are_kept(project: Project) -> None:
    project.models(MODEL)
    text = '"""${message}\n\nCreated: ${create_date}\n"""\n' + BODY + DOWNGRADE
    write_template(project, text.replace("\n", "\r\n"))
    project.run("create-migration", "-m", "books").succeeded()
    source = project.newest_file.read_bytes()
    assert source.count(b"\r\n") == source.count(b"\n")
    assert b"op.create_table(" in source
    project.run("init").succeeded()


def test_a_template_and_revisions_without_downgrade_go_one_way(project: Project) -> None:
    project.models(MODEL)
    write_template(project, '"""${message}"""\n' + BODY)
    outcome = project.run("create-migration", "-m", "books").succeeded()
    assert "has no downgrade(), so there is no way back" in outcome.out
    assert "downgrade" not in project.newest_file.read_text()
    project.run("init").succeeded()
    project.run("verify").succeeded()
    refused = project.run("downgrade", "-s", "1").failed(1)
    assert "has no downgrade()" in refused.error
    assert "books" in project.tables


def test_a_missing_template_is_said_before_anything_is_built(project: Project) -> None:
    project.models(MODEL)
    project.revision("0001", "raise RuntimeError('was built')")
    (project.root / "alembic" / "script.py.mako").unlink()
    error = project.run("create-migration", "-m", "books").failed(1).error
    assert "alembic/script.py.mako: no revision was written: there is no such file" in error


def test_a_hook_that_is_not_installed_is_said_first_and_costs_neither_file_nor_the_others(
    project: Project,
) -> None:
    project.models(MODEL)
    ini = project.root / "alembic.ini"
    hooks = (
        "hooks = black, stamped, linted\nblack.type = console_scripts\nblack.entrypoint = no_such\n"
        "linted.type = module\nlinted.module = no_such_module.main\n"
        "stamped.type = exec\nstamped.executable = sed\n"
        'stamped.options = -i "1i # stamped" REVISION_SCRIPT_FILENAME\n'
    )
    ini.write_text(f"{ini.read_text()}\n[post_write_hooks]\n{hooks}")
    outcome = project.run("create-migration", "-m", "books")
    assert outcome.code == 3
    assert outcome.err.startswith("alembic.ini: post_write_hooks: black is not installed here")
    assert "black is not installed here; linted is not installed here" in outcome.out
    assert project.newest_file.read_text().startswith("# stamped\n")
    project.run("init").succeeded()
    assert "books" in project.tables


HIDES_PSYCOPG = """
import sys
sys.modules["psycopg"] = None
"""


def test_a_url_without_a_driver_means_psycopg2_where_psycopg_is_not_installed(
    tmp_path: Path, new_database_url: str, launcher: Launcher
) -> None:
    kind = next(kind for kind in KINDS if kind.name == "url_env")
    project: ForeignProject = copy_project(kind, tmp_path / "books", new_database_url, launcher)
    env_py = project.root / "alembic" / "env.py"
    env_py.write_text(HIDES_PSYCOPG + env_py.read_text())
    assert "now at 0002" in project.run("init").succeeded().out
    assert "agree" in project.run("verify").succeeded().out
