"""What needs the service here, or a linter: no false alarm, and files as a linter wants them."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from pathlib import Path

from tests.support.doors import BIN
from tests.support.project import REPOSITORY, Project
from tests.test_create_migration import agents, change, create  # noqa: F401  # one is a fixture


def test_the_service_here_is_verified_without_a_false_alarm(
    tmp_path: Path, new_database_url: str
) -> None:
    for name in ("alembic", "src", "scripts"):
        shutil.copytree(REPOSITORY / name, tmp_path / name)
    shutil.copy(REPOSITORY / "alembic.ini", tmp_path)
    project = Project(
        tmp_path,
        {"DATABASE_URL": new_database_url, "XDG_CACHE_HOME": str(tmp_path), "DB_OPS_SPARE": "0"},
    )
    project.run("init").succeeded()
    result = json.loads(project.run("verify", "--grants", "--json").succeeded().out)
    assert (result["differences"], result["unchecked"], result["alembic"]) == ([], [], [])


def test_the_file_is_as_a_formatter_and_a_linter_want_it(agents: Project) -> None:  # noqa: F811  # the fixture
    change(agents, '"draft", "live", name="state"', '"draft", "paused", "live", name="state"')
    paths = [
        agents.root / create(agents, "add a state").revision.path,
        *agents.revision_files,
    ]
    select = ["--isolated", "--line-length", "88", "--no-cache"]
    isort = ["--config", 'lint.isort.known-third-party = ["alembic"]']
    for command in (["check", "--select", "E,F,I,UP", *isort], ["format", "--check"]):
        done = subprocess.run(
            [BIN / "ruff", *command, *select, *paths], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout
    for path in paths:
        assert re.match(r"\d{4}_\d\d_\d\d_\d{4}-[0-9a-f]{12}_\w+\.py$", path.name)
        tree = ast.parse(path.read_text())
        docstring = ast.get_docstring(tree) or ""
        assert re.match(r"(create agents|add a state)\n\n- ", docstring)
        for function in [node for node in tree.body if isinstance(node, ast.FunctionDef)]:
            assert function.returns is not None
