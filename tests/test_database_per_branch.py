"""A database for each git branch: which one a command goes to, and how a new one comes to be."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

import db_ops
from db_ops.settings import DatabaseUrl
from tests.conftest import drop, with_database
from tests.support.project import Project, query

_PYPROJECT = "[tool.db_ops]\ndatabase_per_branch = {}\n"


def git(project: Project, *arguments: str, at: int = 0, cwd: Path | None = None) -> str:
    """Run git, *at* so many seconds after a fixed moment."""
    when = f"{1_700_000_000 + at} +0000"
    who = {"NAME": "a", "EMAIL": "a@b", "DATE": when}
    env = {f"GIT_{role}_{name}": it for role in ("AUTHOR", "COMMITTER") for name, it in who.items()}
    done = subprocess.run(
        ["git", *arguments],
        cwd=cwd or project.root,
        env={**os.environ, **env, "GIT_CONFIG_GLOBAL": os.devnull},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def repository(migrated: Project, server_url: str) -> Iterator[Project]:
    """A migrated project on the branch main, each branch of which has a database."""
    (migrated.root / "pyproject.toml").write_text(_PYPROJECT.format("true"))
    git(migrated, "init", "-q", "-b", "main")
    (migrated.root / ".gitignore").write_text("__pycache__\n.db_ops\n")
    git(migrated, "add", ".")
    git(migrated, "commit", "-qm", "first")
    migrated.query("CREATE TABLE notes AS SELECT 1 AS id")
    yield migrated
    base = DatabaseUrl.parse(migrated.url).database
    names = query(server_url, "SELECT datname FROM pg_database")
    for (name,) in names:
        if str(name).startswith(f"{base}~"):
            drop(server_url, str(name))


def database(project: Project, cwd: Path | None = None) -> str:
    """Return the database that commands go to."""
    outcome = project.run("url", "--json", cwd=cwd)
    assert outcome.code == 0, outcome.err
    return DatabaseUrl.parse(json.loads(outcome.out)["url"]).database


def rows(project: Project, name: str) -> list[tuple[object, ...]]:
    return query(with_database(project.url, name), "SELECT id FROM notes ORDER BY id")


def init(project: Project, cwd: Path | None = None) -> str:
    outcome = project.run("init", cwd=cwd)
    assert outcome.code == 0, outcome.err
    return outcome.out + outcome.err


def test_a_branch_gets_a_copy_with_data_and_a_switch_changes_the_database(
    repository: Project,
) -> None:
    base = DatabaseUrl.parse(repository.url).database
    assert database(repository) == base
    git(repository, "switch", "-qc", "feature/login", at=1)
    name = database(repository)
    assert name.startswith(f"{base}~feature-login~")

    status = repository.run("status")
    assert "does not exist" in status.out + status.err
    assert repository.run("status", "--check").code == 3
    assert not query(repository.url, "SELECT FROM pg_database WHERE datname = %s", name)

    said = init(repository)
    assert f"as a copy of {base}" in said
    assert f"copying {base}, the database of main" in said
    assert rows(repository, name) == [(1,)]
    query(with_database(repository.url, name), "INSERT INTO notes VALUES (2)")
    assert rows(repository, base) == [(1,)]
    assert "nothing to do" in init(repository)
    git(repository, "switch", "-q", "main", at=2)
    assert database(repository) == base
    git(repository, "switch", "-q", "-", at=3)
    assert database(repository) == name

    deleted = repository.run("delete-db")
    assert deleted.code == 0
    assert rows(repository, base) == [(1,)]


def test_upgrade_makes_it_too_from_the_branch_that_a_branch_was_made_from(
    repository: Project,
) -> None:
    git(repository, "switch", "-qc", "parent", at=1)
    init(repository)
    parent = database(repository)
    query(with_database(repository.url, parent), "INSERT INTO notes VALUES (2)")
    # A branch between them whose database was never made.
    git(repository, "switch", "-qc", "between", at=2)
    git(repository, "switch", "-qc", "child", at=3)
    outcome = repository.run("upgrade")
    assert outcome.code == 0, outcome.err
    assert rows(repository, database(repository)) == [(1,), (2,)]


def test_without_a_reflog_the_nearest_branch_is_copied(repository: Project) -> None:
    git(repository, "switch", "-qc", "parent", at=1)
    init(repository)
    parent = database(repository)
    query(with_database(repository.url, parent), "INSERT INTO notes VALUES (2)")
    git(repository, "commit", "-q", "--allow-empty", "-m", "second", at=2)
    git(repository, "config", "core.logAllRefUpdates", "false")
    git(repository, "branch", "child", at=3)
    (repository.root / ".git/logs/refs/heads/child").unlink(missing_ok=True)
    git(repository, "switch", "-q", "child", at=4)
    init(repository)
    assert rows(repository, database(repository)) == [(1,), (2,)]


def test_a_renamed_branch_keeps_its_database_and_a_copied_one_gets_its_own(
    repository: Project,
) -> None:
    git(repository, "switch", "-qc", "old", at=1)
    init(repository)
    name = database(repository)
    git(repository, "branch", "-m", "new", at=2)
    assert database(repository) == name
    git(repository, "branch", "-m", "old", at=3)
    git(repository, "branch", "-c", "copy", at=4)
    assert database(repository) == name
    git(repository, "switch", "-q", "copy", at=5)
    assert database(repository) != name


def test_a_rebase_and_a_bisection_count_as_their_branch(repository: Project) -> None:
    git(repository, "switch", "-qc", "feature", at=1)
    for number, name in enumerate(("a", "b")):
        (repository.root / name).write_text(name)
        git(repository, "add", name)
        git(repository, "commit", "-qm", name, at=2 + number)
    name = database(repository)
    git(repository, "rebase", "-q", "--exec", "true", "main", at=5)
    assert database(repository) == name
    with pytest.raises(subprocess.CalledProcessError):
        git(repository, "rebase", "-q", "--force-rebase", "--exec", "false", "main", at=6)
    assert (repository.root / ".git/rebase-merge").exists()
    assert database(repository) == name
    git(repository, "rebase", "--abort", at=7)
    git(repository, "bisect", "start", "HEAD", "main", at=8)
    assert database(repository) == name
    git(repository, "bisect", "reset", at=9)


def test_a_detached_head_has_a_database_of_its_own(repository: Project) -> None:
    base = DatabaseUrl.parse(repository.url).database
    git(repository, "tag", "v1")
    git(repository, "switch", "-qc", "feature", at=1)
    init(repository)
    query(with_database(repository.url, database(repository)), "INSERT INTO notes VALUES (2)")
    git(repository, "checkout", "-q", "v1", at=2)
    name = database(repository)
    assert name.startswith(f"{base}~detached~")
    init(repository)
    assert rows(repository, name) == [(1,), (2,)]
    assert "(detached HEAD)" in repository.run("branches").out


def test_prune_drops_what_belonged_to_a_deleted_branch_alone(repository: Project) -> None:
    base = DatabaseUrl.parse(repository.url).database
    git(repository, "switch", "-qc", "gone", at=1)
    init(repository)
    gone = database(repository)
    git(repository, "switch", "-qc", "kept", "main", at=2)
    init(repository)
    kept = database(repository)
    # Of another clone, as its comment says.
    other = f"{base}~gone~012345"
    facts = json.dumps({"branch": "gone", "repository": "/elsewhere/.git"})
    query(repository.url, f'CREATE DATABASE "{other}"')
    query(repository.url, f"COMMENT ON DATABASE \"{other}\" IS 'db_ops branch: {facts}'")
    git(repository, "branch", "-qD", "gone")
    listed = {
        one["database"]: one
        for one in json.loads(repository.run("branches", "-j").out)["databases"]
    }
    assert [name for name, one in listed.items() if one["is_gone"]] == [gone]
    assert listed[kept]["is_current"]
    assert listed[kept]["made"]
    assert listed[kept]["bytes"] > 0
    # One of the same name is another branch.
    git(repository, "branch", "gone", "main", at=3)
    outcome = repository.run("branches", "--prune")
    assert outcome.code == 0, outcome.err
    assert f"{gone}: dropped" in outcome.out
    left = {name for (name,) in query(repository.url, "SELECT datname FROM pg_database")}
    assert {base, kept, other} <= left
    assert gone not in left
    git(repository, "switch", "-q", "gone", at=4)
    assert database(repository) != gone


def test_each_working_tree_goes_to_the_database_of_its_branch(
    repository: Project, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    git(repository, "worktree", "add", "-q", "-b", "feature", str(tree), at=1)
    init(repository, cwd=tree)
    name = database(repository, cwd=tree)
    assert name != database(repository)
    assert str(tree) in repository.run("branches").out
    git(repository, "worktree", "remove", "--force", str(tree))
    # The branch is still there.
    assert "gone" not in repository.run("branches").out
    git(repository, "switch", "-q", "feature", at=2)
    assert database(repository) == name


@pytest.mark.parametrize("branch", ["a/" + "b" * 80, "größe/ñ", "Feature"])
def test_any_name_of_a_branch_fits_into_that_of_a_database(
    repository: Project, branch: str
) -> None:
    git(repository, "switch", "-qc", branch, at=1)
    init(repository)
    name = database(repository)
    assert len(name.encode()) <= 63
    assert rows(repository, name) == [(1,)]
    git(repository, "branch", "-m", "renamed", at=2)
    assert database(repository) == name


def test_a_parent_in_use_is_named_with_the_ways_out(repository: Project) -> None:
    git(repository, "switch", "-qc", "feature", at=1)
    connection = psycopg2.connect(repository.url)
    try:
        outcome = repository.run("init")
        assert outcome.code == 5
        assert "the database of main: it is in use by" in outcome.err
        assert "init --from-migrations" in outcome.err
        without = repository.run("init", "--from-migrations")
        assert without.code == 0, without.err
    finally:
        connection.close()


@pytest.mark.parametrize("ignored", [{"CI": "true"}, {"DB_OPS_ENVIRONMENT": "test"}])
def test_elsewhere_than_in_development_there_is_one_database(
    repository: Project, ignored: dict[str, str]
) -> None:
    git(repository, "switch", "-qc", "feature", at=1)
    repository.env.update(ignored)
    assert database(repository) == DatabaseUrl.parse(repository.url).database
    outcome = repository.run("branches")
    assert outcome.code == 2
    assert "is ignored" in outcome.err


def test_without_git_there_is_one_database_and_a_default_branch_can_be_named(
    repository: Project,
) -> None:
    base = DatabaseUrl.parse(repository.url).database
    git(repository, "branch", "-m", "trunk")
    git(repository, "branch", "other")
    refused = repository.run("status")
    assert refused.code == 2
    assert "name the branch that keeps" in refused.err
    (repository.root / "pyproject.toml").write_text(_PYPROJECT.format('"trunk"'))
    assert database(repository) == base
    git(repository, "pack-refs", "--all")
    git(repository, "switch", "-q", "other")
    assert database(repository) != base
    (repository.root / ".git").rename(repository.root / "no_git")
    assert database(repository) == base


def test_branches_names_the_setting_that_is_missing(migrated: Project) -> None:
    refused = migrated.run("branches").failed(2)
    assert "database_per_branch is not set" in refused.error
    assert "set database_per_branch = true there, in pyproject.toml" in refused.hint


def test_the_application_gets_the_url_of_the_branch(
    repository: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(repository, "switch", "-qc", "feature", at=1)
    name = database(repository)
    monkeypatch.setenv("DATABASE_URL", repository.url)
    monkeypatch.delenv("CI", raising=False)
    own = "postgresql+asyncpg://u:p%40w@localhost:1/app?ssl=x"
    base = DatabaseUrl.parse(repository.url).database
    there = own.replace("/app", f"/{base}")
    found = db_ops.database_url(there, start=repository.root)
    assert found == there.replace(f"/{base}", f"/{name}")
    # What is of the branch already stays.
    assert db_ops.database_url(found, start=repository.root) == found
    assert DatabaseUrl.parse(db_ops.database_url(start=repository.root)).database == name
    monkeypatch.setenv("DB_OPS_DATABASE_PER_BRANCH", "0")
    assert db_ops.database_url(there, start=repository.root) == there


def test_a_database_that_is_not_of_development_is_not_copied(repository: Project) -> None:
    base = DatabaseUrl.parse(repository.url).database
    query(repository.url, f"COMMENT ON DATABASE {base} IS 'db_ops environment: production'")
    git(repository, "switch", "-qc", "feature", at=1)
    outcome = repository.run("init")
    assert outcome.code == 4
    assert f"{base}, the database of main, is marked production" in outcome.err
    assert not query(
        repository.url, "SELECT FROM pg_database WHERE datname = %s", database(repository)
    )


def test_recreate_keeps_the_database_with_its_branch(repository: Project) -> None:
    git(repository, "switch", "-qc", "feature", at=1)
    init(repository)
    assert repository.run("recreate").code == 0
    git(repository, "switch", "-q", "main", at=2)
    git(repository, "branch", "-qD", "feature")
    listed = json.loads(repository.run("branches", "--json").out)["databases"]
    assert [(one["branch"], one["is_gone"]) for one in listed] == [
        ("main", False),
        ("feature", True),
    ]


def test_prune_leaves_the_branch_that_is_checked_out_its_own_database(
    repository: Project,
) -> None:
    git(repository, "switch", "-qc", "gone", at=1)
    init(repository)
    # Its database is not made yet, and so its name is not kept.
    git(repository, "switch", "-qc", "feature", "main", at=2)
    git(repository, "branch", "-qD", "gone")
    own = database(repository)
    pruned = repository.run("branches", "--prune")
    assert pruned.code == 0, pruned.err
    assert "~gone~" in pruned.out
    assert database(repository) == own
    assert "dbOpsDatabase" not in (repository.root / ".git/config").read_text()


def test_undo_brings_the_database_back_with_its_branch(repository: Project) -> None:
    repository.env["DB_OPS_UNDO"] = "1"
    git(repository, "switch", "-qc", "feature", at=1)
    init(repository)
    assert repository.run("delete-db").code == 0
    assert repository.run("undo").code == 0
    assert rows(repository, database(repository)) == [(1,)]
    git(repository, "switch", "-q", "main", at=2)
    git(repository, "branch", "-qD", "feature")
    pruned = repository.run("branches", "--prune")
    assert pruned.code == 0, pruned.err
    assert "feature" in pruned.out
    assert repository.run("cache", "--clear").code == 0


def test_an_env_py_that_composes_its_url_gets_the_database_of_the_branch(
    repository: Project,
) -> None:
    (repository.root / "alembic/env.py").write_text(
        "import os\n"
        "import sqlalchemy as sa\n"
        "from alembic import context\n"
        "from models import Base\n"
        "url = sa.make_url(os.environ['DATABASE_URL']).set(drivername='postgresql+psycopg2')\n"
        "with sa.create_engine(url).connect() as connection:\n"
        "    context.configure(connection=connection, target_metadata=Base.metadata)\n"
        "    with context.begin_transaction():\n"
        "        context.run_migrations()\n"
    )
    git(repository, "switch", "-qc", "feature", at=1)
    init(repository)
    name = database(repository)
    repository.table("0004", "four")
    assert "0004" in init(repository)
    tables = "SELECT tablename FROM pg_tables WHERE tablename = 'four'"
    assert query(with_database(repository.url, name), tables)
    assert not query(repository.url, tables)
