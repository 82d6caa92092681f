"""Every command, wherever it is run from and however the database is spelled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg2
import pytest

from tests.conftest import drop, with_database
from tests.support.launcher import Launcher
from tests.support.project import ALEMBIC, Project, make_project

CHAIN = (
    ("init",),
    ("create-migration", "-m", "create agents"),
    ("upgrade",),
    ("verify",),
    ("downgrade", "-s", "1"),
    ("upgrade",),
    ("status", "--check"),
    ("url",),
    ("recreate",),
)
AGENT = """
class Agent(Base):
    __tablename__ = "agents"
    id: Mapped[int] = mapped_column(primary_key=True)
"""


def run_every_command(project: Project, door: str, cwd: Path | None = None) -> None:
    project.models(AGENT)
    arguments = [argument for command in CHAIN for argument in command]
    project.run(*arguments, door=door, cwd=cwd).succeeded()
    (file,) = project.revision_files
    assert project.tables == ["agents", "alembic_version"]
    ((version,),) = project.query("SELECT version_num FROM alembic_version")
    assert str(version) in file.name
    project.run("delete-db", door=door, cwd=cwd).succeeded()
    with pytest.raises(psycopg2.OperationalError, match="does not exist"):
        project.query("SELECT 1")


def test_from_a_subfolder(project: Project, door: str) -> None:
    below = project.root / "deep" / "down"
    below.mkdir(parents=True)
    run_every_command(project, door, cwd=below)


def test_a_pyproject_without_an_ini_is_enough_where_alembic_reads_it(project: Project) -> None:
    (project.root / "alembic.ini").unlink()
    (project.root / "pyproject.toml").write_text(
        '[tool.alembic]\nscript_location = "%(here)s/alembic"\nprepend_sys_path = ["."]\n'
    )
    project.table("0001", "one")
    outcome = project.run("init")
    if ALEMBIC >= (1, 16):
        assert "now at 0001" in outcome.succeeded().out
    else:
        assert "Alembic 1.16" in outcome.failed(2).error


def test_an_ini_and_options_in_pyproject_are_no_contradiction(project: Project) -> None:
    (project.root / "pyproject.toml").write_text('[tool.alembic]\nfile_template = "%%(rev)s"\n')
    run_every_command(project, "manage_db")


def test_in_a_path_with_spaces_quotes_and_percent_signs(
    tmp_path: Path, new_database_url: str, launcher: Launcher, door: str
) -> None:
    root = tmp_path / "my 100% project's \"x"
    run_every_command(make_project(root, new_database_url, launcher.run), door)


@pytest.mark.parametrize(
    ("door", "respell"),
    [
        ("inv", lambda url: url.replace("postgresql://", "postgres://")),
        (
            "manage_db",
            lambda url: url.replace("postgresql://", "postgresql+asyncpg://") + "?ssl=disable",
        ),
        ("inv", lambda url: url.replace("postgresql://", "postgresql+psycopg://")),
        ("manage_db", lambda url: url.replace("@", "@127.0.0.1:1,")),
        (
            "inv",
            lambda url: url + "?options=-c%20search_path%3Dpublic&connect_timeout=3",
        ),
    ],
    ids=["postgres", "asyncpg", "psycopg", "several hosts", "options"],
)
def test_however_the_url_is_spelled(
    project: Project, respell: Callable[[str], str], door: str
) -> None:
    project.url = respell(project.url)
    run_every_command(project, door)


@pytest.mark.parametrize("name", ['My-DB"x ünï', " ", "semi;colon--a/b@c percent%d"])
def test_whatever_the_database_is_called(project: Project, server_url: str, name: str) -> None:
    project.url = with_database(server_url, name)
    try:
        run_every_command(project, "manage_db")
    finally:
        drop(server_url, name)
