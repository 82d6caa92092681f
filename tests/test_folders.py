"""Where the files of other people's projects lie, and Flask's application."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.foreign import KINDS, ForeignProject, copy_project
from tests.support.launcher import Launcher
from tests.support.project import query

_BY_NAME = {kind.name: kind for kind in reversed(KINDS)}


@pytest.fixture
def books(tmp_path: Path, new_database_url: str, launcher: Launcher) -> ForeignProject:
    project = copy_project(_BY_NAME["url_env"], tmp_path / "books", new_database_url, launcher)
    project.env["BOOKS_URL"] = project.url
    return project


def move(project: ForeignProject, folder: str, location: str | None) -> None:
    """Move alembic.ini into *folder*, and say where the scripts are, if anywhere."""
    ini = project.root / "alembic.ini"
    lines = [one for one in ini.read_text().splitlines() if "script_location" not in one]
    if location:
        lines.insert(lines.index("[alembic]") + 1, f"script_location = {location}")
    (project.root / folder).mkdir(exist_ok=True)
    (project.root / folder / "alembic.ini").write_text("\n".join(lines))
    ini.unlink()
    (project.root / "pyproject.toml").write_text('[tool.db_ops]\nurl_env = "BOOKS_URL"\n')


@pytest.mark.parametrize("location", [None, "database", "."])
def test_an_ini_beside_env_py_is_found_in_a_folder_of_any_name(
    books: ForeignProject, location: str | None
) -> None:
    (books.root / "alembic").rename(books.root / "database")
    move(books, "database", location)
    if location == ".":
        # Alembic is run in there, and so the models are.
        (books.root / "models.py").rename(books.root / "database" / "models.py")
    assert "now at 0002" in books.run("init").succeeded().out
    assert "up to date" in books.run("status", cwd=books.root / "database").succeeded().out
    typed = books.run("--config", "database/alembic.ini", "status").succeeded().out
    assert "up to date" in typed


@pytest.mark.parametrize("folder", ["deploy", "deploy/alembic"])
def test_a_relative_location_counts_from_where_alembic_is_run_however_the_file_is_named(
    books: ForeignProject, folder: str
) -> None:
    (books.root / "deploy").mkdir()
    move(books, folder, "alembic")
    named = f"{folder}/alembic.ini"
    assert "now at 0002" in books.run("--config", named, "init").succeeded().out
    assert "up to date" in books.run("status", DB_OPS_ALEMBIC_INI=named).succeeded().out
    pyproject = books.root / "pyproject.toml"
    pyproject.write_text(f'{pyproject.read_text()}alembic_ini = "{named}"\n')
    assert "up to date" in books.run("status").succeeded().out
    assert "up to date" in books.run("status", cwd=books.root / "deploy").succeeded().out


def test_a_location_beside_the_named_file_counts_for_imports_too(books: ForeignProject) -> None:
    backend = books.root / "backend"
    backend.mkdir()
    move(books, "backend", "alembic")
    for name in ("alembic", "models.py"):
        (books.root / name).rename(backend / name)
    (books.root / "pyproject.toml").write_text(
        '[tool.db_ops]\nurl_env = "BOOKS_URL"\nalembic_ini = "backend/alembic.ini"\n'
    )
    assert "now at 0002" in books.run("init").succeeded().out
    named = books.run("--config", "backend/alembic.ini", "status", DATABASE_URL="").out
    assert "up to date" in named


def test_other_paths_of_a_named_file_count_from_the_current_folder_as_for_alembic(
    books: ForeignProject,
) -> None:
    inner = books.root / "shelf"
    inner.mkdir()
    for name in ("alembic.ini", "alembic", "models.py"):
        (books.root / name).rename(inner / name)
    (inner / "__init__.py").touch()
    (books.root / "pyproject.toml").unlink()
    books.edit(
        "shelf/alembic.ini", "script_location = alembic", "script_location = %(here)s/alembic"
    )
    asks = "import os\nassert os.path.isdir('shelf'), os.getcwd()\nfrom shelf.models"
    books.edit("shelf/alembic/env.py", "from models", asks)
    named = "shelf/alembic.ini"
    books.alembic("-c", named, "history").succeeded()
    outcome = books.run("--config", named, "init", DATABASE_URL=books.url).succeeded()
    assert "at 0002" in outcome.out


@pytest.mark.parametrize("location", ["%(here)s/alembic", "alembic"])
def test_settings_above_a_named_file_are_read_unless_they_are_for_another(
    books: ForeignProject, location: str
) -> None:
    service = books.root / "service"
    move(books, "service", location)
    (books.root / "alembic").rename(service / "alembic")
    if location == "alembic":
        # Alembic is run in there, and so the models are.
        (books.root / "models.py").rename(service / "models.py")
    named = ("--config", "service/alembic.ini")
    assert "now at 0002" in books.run(*named, "init").succeeded().out
    # Its own is nearer, and one that is found without a name has these settings to itself.
    (service / "pyproject.toml").write_text('[tool.db_ops]\nurl_env = "OTHER_URL"\n')
    refused = books.run(*named, "status", DATABASE_URL="").failed(2)
    assert "OTHER_URL" in refused.hint + refused.error
    (service / "pyproject.toml").unlink()
    (books.root / "alembic.ini").write_text("[alembic]\nscript_location = service/alembic\n")
    assert "up to date" not in books.run(*named, "status").out


def test_dated_folders_of_file_template_are_used_if_they_are_read_and_refused_if_not(
    books: ForeignProject,
) -> None:
    ini = books.root / "alembic.ini"
    dated = "file_template = %%(year)d/%%(month).2d/%%(rev)s_%%(slug)s"
    ini.write_text(ini.read_text().replace("[alembic]", f"[alembic]\n{dated}"))
    books.run("init").succeeded()
    books.change_model()
    refused = books.run("create-migration", "-m", "pages").failed(1)
    assert "alembic.ini: no revision was written: file_template" in refused.error
    assert "recursive_version_locations = true" in refused.hint
    ini.write_text(
        ini.read_text().replace("[alembic]", "[alembic]\nrecursive_version_locations = true")
    )
    outcome = books.run("create-migration", "-m", "pages").succeeded()
    assert "alembic/versions/20" in outcome.out
    assert "1 revision applied" in books.run("upgrade").succeeded().out


FACTORY = """
from flask import Blueprint
pages = Blueprint("pages", __name__)


def create(app):
    @pages.route("/")
    def index():
        return ""

    app.register_blueprint(pages)
    return app
"""


@pytest.mark.parametrize("how", ["FLASK_APP", "--app", ".flaskenv"])
def test_the_flask_application_is_the_named_one_and_is_made_once(
    tmp_path: Path, new_database_url: str, launcher: Launcher, how: str
) -> None:
    shop = copy_project(_BY_NAME["flask_migrate"], tmp_path / "shop", new_database_url, launcher)
    (shop.root / "pages.py").write_text(FACTORY)
    shop.edit("app.py", "    return app", "    from pages import create\n    return create(app)")
    (shop.root / "app.py").rename(shop.root / "store.py")
    shop.edit("store.py", "def create_app():", "def make(kind):")
    named = "store:make('small')"
    typed: tuple[str, ...] = ("--app", named) if how == "--app" else ()
    if how == "FLASK_APP":
        shop.env["FLASK_APP"] = named
    elif how == ".flaskenv":
        (shop.root / ".flaskenv").write_text(f'FLASK_APP="{named}"\n')
    assert "now at 0002" in shop.run(*typed, "init").succeeded().out
    assert "agree" in shop.run(*typed, "verify").succeeded().out


def test_settings_are_read_where_flask_is_run_from_wherever_its_migrations_lie(
    tmp_path: Path, new_database_url: str, launcher: Launcher
) -> None:
    shop = copy_project(_BY_NAME["flask_migrate"], tmp_path / "shop", new_database_url, launcher)
    (shop.root / "parts").mkdir()
    (shop.root / "migrations").rename(shop.root / "parts" / "migrations")
    (shop.root / "pyproject.toml").write_text('[tool.db_ops]\nbootstrap = "first:create"\n')
    (shop.root / "first.py").write_text(
        "def create(connection):\n    connection.exec_driver_sql('CREATE TABLE first (n int)')\n"
    )
    named = ("--config", "parts/migrations/alembic.ini")
    shop.run(*named, "init").succeeded()
    assert query(shop.url, "SELECT to_regclass('first')::text") == [("first",)]
    # As some write it, although Flask-Migrate does not read it.
    shop.edit("parts/migrations/alembic.ini", "[alembic]\n", "[alembic]\nscript_location = .\n")
    assert "nothing to do" in shop.run(*named, "init").succeeded().out
