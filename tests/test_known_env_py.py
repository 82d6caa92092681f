"""What was learnt of an env.py, and when it is asked again."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.support.doors import run
from tests.support.foreign import KINDS, ForeignProject, copy_project
from tests.support.launcher import Launcher

# Prints what of the libraries a command has loaded.
_LOADED = """
import sys
sys.argv = ["db-ops", "init"]
from db_ops.cli.program import main
try:
    main()
finally:
    loaded = {name.partition(".")[0] for name in sys.modules}
    print("LOADED", *sorted(loaded & {"sqlalchemy", "alembic", "models"}))
"""
# An env.py that puts its URL together, as many do.
_FROM_PARTS = """
from alembic import context
from pathlib import Path
from sqlalchemy import URL
{before}
context.config.set_main_option("sqlalchemy.url", URL.create(
    "postgresql+psycopg2", username={user!r}, password={password}, host={host!r}, port={port},
    database={database!r}).render_as_string(hide_password=False).replace("%", "%%"))
"""
_ENV_PY = "alembic/env.py"

Parts = Callable[..., ForeignProject]


@pytest.fixture
def from_parts(tmp_path: Path, new_database_url: str, launcher: Launcher) -> Parts:
    """Make a project whose env.py evaluates *password*, after it has done what is *before*."""

    def make(password: str, before: str = "") -> ForeignProject:
        kind = next(kind for kind in KINDS if kind.name == "ini_url")
        project = copy_project(kind, tmp_path / kind.name, new_database_url, launcher)
        parts = urlsplit(new_database_url)
        source = _FROM_PARTS.format(
            before=before, password=password, user=parts.username, host=parts.hostname,
            port=parts.port, database=parts.path.strip("/"),
        )  # fmt: skip
        project.edit("alembic.ini", "sqlalchemy.url =", "elsewhere =")
        ini = project.root / "alembic.ini"
        kept = [line for line in ini.read_text().splitlines() if "elsewhere" not in line]
        ini.write_text("\n".join(kept))
        project.edit(_ENV_PY, "from alembic import context\n", source)
        return project

    return make


def _password(project: ForeignProject) -> str:
    return unquote(urlsplit(project.url).password or "")


def loaded(project: ForeignProject) -> list[str]:
    outcome = run([sys.executable, "-c", _LOADED], cwd=project.root, env=project.env).succeeded()
    project._check_secrecy(outcome)
    return outcome.out.partition("LOADED")[2].split()


@pytest.mark.parametrize(
    "before",
    [
        "",
        "import os, sys\nos.environ['SERVICE_STARTED'] = '1'\nsys.path.insert(0, 'vendored')",
        "import os\nos.environ['SERVICE_COPY'] = os.environ['SERVICE_SECRET']",
        "open('service.log', 'a').write('started')",
        "import shutil, tempfile\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    shutil.copytree('alembic', f'{folder}/static')\n"
        "    list(Path(folder).iterdir()), Path(f'{folder}/static/env.py').read_text()",
    ],
    ids=[
        "only reads",
        "changes environment and paths",
        "copies the secret",
        "writes a log",
        "reads what it has made",
    ],
)
def test_a_url_put_together_from_parts_is_asked_for_once(from_parts: Parts, before: str) -> None:
    project = from_parts("__import__('os').environ['SERVICE_SECRET']", before)
    project.env["SERVICE_SECRET"] = _password(project)
    metadata = project.root / "vendored" / "other-1.0.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Name: other\nVersion: 1.0\n")
    project.run("init").succeeded()
    assert loaded(project) == []


def test_a_file_in_a_folder_that_was_there_is_an_input_of_env_py(from_parts: Parts) -> None:
    project = from_parts("Path('config/secret').read_text()", "Path('config').mkdir(exist_ok=True)")
    (project.root / "config").mkdir()
    (project.root / "config" / "secret").write_text(_password(project))
    project.run("init").succeeded()
    assert loaded(project) == []
    (project.root / "config" / "secret").write_text("mistaken")
    assert "password" in project.run("status", DB_OPS_WAIT_TIMEOUT="0").err


def test_a_password_in_a_file_is_read_there_again(from_parts: Parts) -> None:
    project = from_parts("Path('secret').read_text().strip()")
    secret = project.root / "secret"
    secret.write_text(f"{_password(project)}\n")
    project.run("init").succeeded()
    assert loaded(project) == []
    # Another file is another answer: env.py is asked.
    secret.write_text(f"\n{_password(project)}\n")
    assert loaded(project) == ["alembic", "models", "sqlalchemy"]
    assert loaded(project) == []


def test_a_password_in_another_env_file_percent_encoded_is_found(from_parts: Parts) -> None:
    project = from_parts(
        "__import__('urllib.parse').parse.unquote("
        "Path('../service.env').read_text().partition('=')[2].strip())"
    )
    quoted = urlsplit(project.url).password
    (project.root.parent / "service.env").write_text(f"DB_PASSWORD={quoted}\n")
    project.run("init").succeeded()
    assert loaded(project) == []


def test_a_password_that_somebody_is_asked_for_is_asked_for_each_time(from_parts: Parts) -> None:
    project = from_parts(
        "__import__('subprocess').run(['cat', 'vault'], capture_output=True, text=True)"
        ".stdout.strip()",
        # It happens to stand in a file too.
        "Path('vault').read_text()",
    )
    (project.root / "vault").write_text(_password(project))
    project.run("init").succeeded()
    assert loaded(project) == ["alembic", "models", "sqlalchemy"]


def test_what_is_kept_has_no_password_in_it(from_parts: Parts) -> None:
    project = from_parts("__import__('os').environ['SERVICE_SECRET']")
    project.env["SERVICE_SECRET"] = _password(project)
    project.run("init").succeeded()
    (kept,) = (project.root / ".db_ops").glob("learnt-*.json")
    assert '["variable", "SERVICE_SECRET"]' in kept.read_text()
    for spelling in (_password(project), str(urlsplit(project.url).password)):
        assert spelling not in kept.read_text()


def test_a_variable_with_another_password_is_another_answer(from_parts: Parts) -> None:
    project = from_parts("__import__('os').environ['SERVICE_SECRET']")
    project.env["SERVICE_SECRET"] = _password(project)
    project.run("init").succeeded()
    project.env["SERVICE_SECRET"] = "mistaken"
    assert "password" in project.run("status", DB_OPS_WAIT_TIMEOUT="0").err
