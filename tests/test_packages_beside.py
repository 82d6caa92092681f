"""Packages that are installed beside this one, of versions that it was not made for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.doors import run
from tests.support.project import Project

_METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"


def _shadow(folder: Path, name: str, version: str, source: str) -> None:
    """Put a package of another version before the installed one."""
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(source)
    metadata = folder / f"{name}-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(_METADATA.format(name=name, version=version))


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("environs", "class Env: ...\n"),
        ("sqlalchemy", "__version__ = '1.3.24'\n"),
        ("alembic", "__version__ = '1.3'\n"),
    ],
)
def test_a_package_that_is_too_old_is_one_line_and_a_hint(
    project: Project, tmp_path: Path, name: str, source: str
) -> None:
    _shadow(tmp_path / "beside", name, "1.3.24", source)
    project.table("r1", "books")
    argv = ["db-ops", "init"]
    # Without a variable that environs has to parse, it is not asked.
    env = {**project.env, "PYTHONPATH": str(tmp_path / "beside"), "DB_OPS_LOCK_RETRIES": "3"}
    outcome = run(argv, cwd=project.root, env=env).failed(2)
    assert f"{name} is 1.3.24; db_ops needs " in outcome.error
    assert outcome.hint.startswith(f"python -m pip install '{name}>=")


def test_doctor_names_a_package_that_is_too_old(project: Project, tmp_path: Path) -> None:
    _shadow(tmp_path / "beside", "rich", "10.0", "raise ImportError('not needed here')\n")
    env = {**project.env, "PYTHONPATH": str(tmp_path / "beside")}
    outcome = run(["db-ops", "doctor"], cwd=project.root, env=env)
    assert re.search(r"rich is 10\.0; db_ops needs 13[.\d]* or newer", outcome.out)
    assert "python -m pip install 'rich>=13" in outcome.out
