"""What happens at the edges of other people's projects: who knows the URL, who breaks what."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import drop, with_database
from tests.support.cluster import free_port
from tests.support.doors import run
from tests.support.foreign import KINDS, ForeignProject, copy_project
from tests.support.launcher import Launcher
from tests.support.project import query

Adopt = Callable[..., ForeignProject]
_BY_NAME = {kind.name: kind for kind in reversed(KINDS)}
MODULES = """
import sys
sys.argv = ["db-ops", "status"]
from db_ops.cli.program import main
try:
    main()
finally:
    print("MODULES", *sorted(sys.modules))
"""


@pytest.fixture
def adopt(tmp_path: Path, new_database_url: str, launcher: Launcher) -> Adopt:
    def copy(name: str) -> ForeignProject:
        return copy_project(_BY_NAME[name], tmp_path / name, new_database_url, launcher)

    return copy


@pytest.fixture
def other_url(server_url: str) -> Iterator[str]:
    database = f"t_{uuid.uuid4().hex[:12]}"
    yield with_database(server_url, database)
    drop(server_url, database)


def test_a_database_url_that_is_not_env_pys_is_refused_until_the_project_names_it(
    adopt: Adopt, other_url: str
) -> None:
    project = adopt("ini_url")
    outcome = project.run("init", DATABASE_URL=other_url).failed(2)
    assert project.url.rpartition("/")[2] in outcome.error
    assert other_url.rpartition("/")[2] in outcome.error
    (project.root / "pyproject.toml").write_text('[tool.db_ops]\nurl_env = "DATABASE_URL"\n')
    assert "now at 0002" in project.run("init", DATABASE_URL=other_url).succeeded().out
    assert query(other_url, "SELECT version_num FROM alembic_version") == [("0002",)]
    assert "does not exist" in project.run("status", DATABASE_URL=project.url).succeeded().out


def test_a_decoy_url_and_nobody_who_knows_better_is_asked_for_by_name(adopt: Adopt) -> None:
    project = adopt("ini_url")
    ini = project.root / "alembic.ini"
    lines = [
        "sqlalchemy.url = driver://user:pass@localhost/dbname" if "sqlalchemy.url" in line else line
        for line in ini.read_text().splitlines()
    ]
    ini.write_text("\n".join(lines))
    outcome = project.run("status").failed(2)
    assert "names no database" in outcome.error
    assert "url_env" in outcome.hint
    assert "now at 0002" in project.run("init", DATABASE_URL=project.url).succeeded().out


def test_a_variable_that_the_project_names_and_nobody_sets_is_said(adopt: Adopt) -> None:
    project = adopt("url_env")
    del project.env["BOOKS_URL"]
    assert "BOOKS_URL" in project.run("status").failed(2).error


@pytest.mark.parametrize(
    ("name", "source"), [("ini_url", "alembic/env.py"), ("url_env", "BOOKS_URL")]
)
def test_where_to_correct_a_url_is_where_the_project_has_it(
    tmp_path: Path, launcher: Launcher, name: str, source: str
) -> None:
    nobody = f"postgresql://app:mistaken@127.0.0.1:{free_port()}/shop"
    project = copy_project(_BY_NAME[name], tmp_path / name, nobody, launcher)
    assert f"correct {source};" in project.run("init", DB_OPS_WAIT_TIMEOUT="0").failed(5).hint


def test_the_embedded_server_is_not_started_for_a_project_that_has_another(adopt: Adopt) -> None:
    outcome = adopt("ini_url").run("start").failed(2)
    assert "not the embedded server" in outcome.error
    assert "alembic/env.py names it" in outcome.hint


def test_a_url_of_env_py_that_names_no_database_is_said_of_env_py(adopt: Adopt) -> None:
    project = adopt("ini_url")
    ini = project.root / "alembic.ini"
    ini.write_text(ini.read_text().replace(f"/{_database(project)}", ""))
    outcome = project.run("status").failed(2)
    assert "alembic/env.py names no database" in outcome.error
    assert "to alembic/env.py" in outcome.hint


def test_a_url_in_pyproject_is_refused_and_not_repeated(adopt: Adopt) -> None:
    project = adopt("url_env")
    (project.root / "pyproject.toml").write_text(
        '[tool.db_ops]\nurl_env = "postgresql://u:hunter2@localhost/app"\n'
    )
    outcome = project.run("status").failed(2)
    assert "hunter2" not in outcome.err + outcome.out


def test_a_remote_database_that_only_env_py_knows_is_production(adopt: Adopt) -> None:
    project = adopt("async_psycopg")
    project.env["LIBRARY_DSN"] = "postgresql://app@192.0.2.1/library"
    outcome = project.run("delete-db").failed(4)
    assert "192.0.2.1:5432/library" in outcome.error
    assert "production" in outcome.error


def test_an_env_py_of_several_databases_says_which(adopt: Adopt, other_url: str) -> None:
    project = adopt("ini_url")
    env_py = project.root / "alembic" / "env.py"
    env_py.write_text(
        "import sqlalchemy\n"
        f"with sqlalchemy.create_engine({other_url.replace('postgresql', 'postgresql+psycopg2')!r})"
        ".connect():\n    pass\n" + env_py.read_text()
    )
    assert "several databases" in project.run("status").failed(2).error


def test_the_naive_lock_that_undoes_all_under_alembic_does_not_under_us(adopt: Adopt) -> None:
    project = adopt("own_lock")
    query(with_database(project.url, "postgres"), f"CREATE DATABASE {_database(project)}")
    assert project.alembic("upgrade", "head").code == 0
    assert query(project.url, "SELECT to_regclass('books')::text") == [(None,)]
    assert "now at 0002" in project.run("init").succeeded().out
    assert query(project.url, "SELECT to_regclass('books')::text") == [("books",)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("            context.run_migrations()\n\n\nif", "            pass\n\n\nif"),
        (
            "            context.run_migrations()\n\n\nif",
            "            try:\n                context.run_migrations()\n"
            "            except Exception:\n                pass\n\n\nif",
        ),
    ],
    ids=["never runs them", "swallows what they raise"],
)
def test_success_that_is_none_is_seen_in_the_database(
    adopt: Adopt, before: str, after: str
) -> None:
    project = adopt("ini_url")
    project.edit("alembic/env.py", before, after)
    failing = "def upgrade():\n    raise RuntimeError('stop')"
    project.edit("alembic/versions/0002_create_books.py", "def upgrade():", failing)
    outcome = project.run("init", "--from-migrations").failed(1)
    assert "env.py" in outcome.hint
    assert "0002" not in project.run("status", "--json").out.partition('"current"')[2][:20]


def test_at_head_a_known_env_py_is_not_run_again(adopt: Adopt) -> None:
    project = adopt("async_asyncpg")
    project.run("init").succeeded()
    project.run("status").succeeded()
    argv = [sys.executable, "-c", MODULES]
    outcome = run(argv, cwd=project.root, env=project.env).succeeded()
    assert "up to date" in outcome.out
    roots = {name.partition(".")[0] for name in outcome.out.partition("MODULES")[2].split()}
    assert not roots & {"sqlalchemy", "alembic", "asyncpg"}


def test_what_was_learnt_does_not_outlive_a_change(adopt: Adopt, other_url: str) -> None:
    project = adopt("async_asyncpg")
    project.run("init").succeeded()
    project.run("status").succeeded()
    project.env["SHOP_DATABASE_URL"] = other_url.replace("postgresql", "postgresql+asyncpg")
    assert "does not exist" in project.run("status").succeeded().out
    project.env["SHOP_DATABASE_URL"] = project.url.replace("postgresql", "postgresql+asyncpg")
    project.edit(
        "alembic/env.py",
        "connection=connection,",
        'connection=connection, version_table="elsewhere",',
    )
    assert "current      base" in project.run("status").succeeded().out


def test_a_subfolder_is_as_good_as_the_root(adopt: Adopt) -> None:
    project = adopt("flask_migrate")
    project.run("init").succeeded()
    for folder in ("migrations", "migrations/versions"):
        outcome = project.run("status", "--check", cwd=project.root / folder)
        assert "up to date" in outcome.succeeded().out


def test_branches_are_chosen_by_name(adopt: Adopt) -> None:
    project = adopt("branches")
    project.run("init").succeeded()
    project.change_model()
    outcome = project.run("create-migration", "-m", "count pages").failed(2)
    assert "stock" in outcome.error
    assert "sales" in outcome.error
    assert "--branch" in outcome.hint
    assert "--branch" in project.run("downgrade").failed(1).hint
    project.run("downgrade", "--branch", "sales").succeeded()
    assert query(project.url, "SELECT version_num FROM alembic_version") == [("0001",)]
    project.run("upgrade", "-r", "sales@head").succeeded()


def test_the_revision_graph_is_that_of_the_environment_asked_for(adopt: Adopt) -> None:
    project = adopt("ini_sections")
    assert "b001" in project.run("--name", "billing", "diagram", "--revisions").succeeded().out
    assert "b001" not in project.run("diagram", "--revisions").succeeded().out
    project = adopt("locations_in_env")
    assert "0002" in project.run("diagram", "--revisions").succeeded().out


def test_version_tables_that_differ_are_not_reverted_to_different_revisions(
    adopt: Adopt,
) -> None:
    project = adopt("several_version_tables")
    project.run("init").succeeded()
    query(project.url, "UPDATE north.alembic_version SET version_num = '0001'")
    outcome = project.run("downgrade").failed(1)
    assert "the version tables are at different revisions: 0001, 0002" in outcome.error
    assert query(project.url, "SELECT version_num FROM south.alembic_version") == [("0002",)]
    query(project.url, "UPDATE north.alembic_version SET version_num = '0002'")
    assert "2 revisions reverted" in project.run("downgrade").succeeded().out


def test_an_environment_that_nobody_has_written_is_said(adopt: Adopt) -> None:
    project = adopt("ini_sections")
    outcome = project.run("--name", "shipping", "status").failed(2)
    assert "[shipping]" in outcome.error
    assert "billing" in outcome.error


def _database(project: ForeignProject) -> str:
    return project.url.rpartition("/")[2]
