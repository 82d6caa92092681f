"""`doctor` tells what commands depend on; `new` writes what a service needs to begin."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.acceptance.test_adoption import Adopt, adopt, other_url  # noqa: F401  # fixtures
from tests.conftest import with_database, with_user
from tests.support.doors import run
from tests.support.launcher import Launcher
from tests.support.project import Project, query

MODELS = """
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Book(Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
"""


def findings(outcome_json: str) -> dict[tuple[str, str], dict[str, object]]:
    document = json.loads(outcome_json)
    return {(one["topic"], one["name"]): one for one in document["findings"]}


def test_doctor_says_where_settings_come_from_and_masks_the_password(migrated: Project) -> None:
    migrated.env["DB_OPS_LOCK_TIMEOUT"] = "2"
    found = findings(migrated.run("doctor", "--json").succeeded().out)
    assert found["settings", "database"]["source"] == "DATABASE_URL"
    assert found["settings", "DB_OPS_LOCK_TIMEOUT"]["value"] == "2.0"
    assert found["server", "recorded"]["value"] == "0003"
    assert found["revisions", "heads"]["value"] == "0003"


def test_a_missing_right_is_a_problem_only_where_every_migration_needs_it(
    role: str, migrated: Project, server_url: str
) -> None:
    migrated.query(f"GRANT SELECT ON alembic_version TO {role}")
    migrated.url = with_user(migrated.url, role, "role_secret")
    refused = migrated.run("doctor", "--json")
    assert refused.code == 3
    problems = [name for name, one in findings(refused.out).items() if one["is_problem"]]
    assert problems == [("server", "creates tables in public")]
    query(
        with_database(server_url, migrated.url.rpartition("/")[2]),
        f"GRANT CREATE ON SCHEMA public TO {role}",
    )
    found = findings(migrated.run("doctor", "--json").succeeded().out)
    assert found["server", "creates tables in public"]["value"] == "yes"
    assert found["server", "creates schemas"]["value"] == "no"
    assert str(found["server", "creates schemas"]["advice"]).startswith("if migrations do: GRANT ")


def test_doctor_names_two_version_tables(adopt: Adopt) -> None:  # noqa: F811
    outcome = adopt("several_version_tables").run("doctor").succeeded()
    assert "keeps several version tables: " in outcome.out


def test_doctor_lists_notes_on_an_env_py(adopt: Adopt) -> None:  # noqa: F811
    project = adopt("own_lock")
    outcome = project.run("doctor").succeeded()
    assert "note            takes an advisory lock before context.configure()" in outcome.out
    assert "-> leave the lock to db_ops" in outcome.out
    assert "does not exist" in outcome.out


def test_doctor_goes_on_where_something_is_wrong(adopt: Adopt) -> None:  # noqa: F811
    project = adopt("async_psycopg")
    project.env["LIBRARY_DSN"] = "postgresql://app@127.0.0.1:1/library"
    project.env["DB_OPS_WAIT_TIMEOUT"] = "0"
    outcome = project.run("doctor")
    assert outcome.code == 3
    assert "no server answers" in outcome.out
    assert "psycopg2-binary" in outcome.out


def test_doctor_changes_nothing(migrated: Project) -> None:
    before = migrated.fingerprint()
    migrated.run("doctor").succeeded()
    assert migrated.fingerprint() == before


@pytest.mark.parametrize("folder", ["", "src"])
def test_new_leads_from_models_to_a_verified_database(
    tmp_path: Path, new_database_url: str, launcher: Launcher, folder: str
) -> None:
    root = tmp_path / "shop"
    package = root / folder / "shop"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "models.py").write_text(MODELS)
    env = {"DATABASE_URL": new_database_url, "DB_OPS_SPARE": "0", "XDG_CACHE_HOME": str(tmp_path)}

    def db_ops(*arguments: str) -> str:
        return launcher.run(root, env, *arguments, door="module").succeeded().out

    assert "wrote alembic/env.py" in db_ops("new", "--models", "shop.models:Base")
    db_ops("init")
    assert "add table books" in db_ops("create-migration", "-m", "create books")
    db_ops("upgrade")
    assert "agree" in db_ops("verify")
    listed = run(["inv", "--list"], cwd=root, env=env).succeeded().out
    assert "db.upgrade" in listed


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ("", "not named"),
        ("shop.models", "not written as"),
        ("shop.nowhere:Base", "ModuleNotFoundError"),
        ("shop.models:Book.nothing", "not written as"),
        ("shop.models:mapped_column", "neither"),
    ],
)
def test_new_refuses_models_that_are_not_there(
    tmp_path: Path, launcher: Launcher, models: str, said: str
) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "models.py").write_text(MODELS)
    outcome = launcher.run(tmp_path, {}, "new", "--models", models, door="module").failed(2)
    assert said in outcome.error
    assert not (tmp_path / "alembic.ini").exists()


def test_a_folder_without_a_project_is_told_of_new_and_of_the_setting(
    tmp_path: Path, launcher: Launcher
) -> None:
    outcome = launcher.run(tmp_path, {}, "init", door="module").failed(2)
    assert "no alembic.ini here or above" in outcome.error
    assert "set DB_OPS_ALEMBIC_INI" in outcome.hint
    assert outcome.hint.endswith(" new --models package.module:Base")


def test_new_overwrites_nothing(tmp_path: Path, launcher: Launcher) -> None:
    (tmp_path / "models.py").write_text(MODELS)
    (tmp_path / "alembic.ini").write_text("mine")
    outcome = launcher.run(tmp_path, {}, "new", "--models", "models:Base", door="module").failed(2)
    assert "alembic.ini" in outcome.error
    assert (tmp_path / "alembic.ini").read_text() == "mine"
    assert not (tmp_path / "alembic").exists()


def test_new_leaves_a_tasks_file_and_says_what_to_add(tmp_path: Path, launcher: Launcher) -> None:
    (tmp_path / "models.py").write_text(MODELS)
    (tmp_path / "tasks.py").write_text("mine")
    out = (
        launcher.run(tmp_path, {}, "new", "--models", "models:Base", door="module").succeeded().out
    )
    assert "from db_ops.cli import collection as db" in out
    assert (tmp_path / "tasks.py").read_text() == "mine"
