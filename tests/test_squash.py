"""`squash`: the oldest revisions as one, which makes the same."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.support.project import Project
from tests.support.schemas import validated

FAILED, MISUSED, DIFFERENT, REFUSED = 1, 2, 3, 4
EVERY_KIND = Path(__file__).with_name("support") / "every_kind.sql"


def git(project: Project, *arguments: str) -> None:
    who = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    subprocess.run(["git", *who, *arguments], cwd=project.root, capture_output=True, check=True)


def commit(project: Project) -> None:
    if not (project.root / ".git").exists():
        git(project, "init", "-q")
        (project.root / ".gitignore").write_text("__pycache__/\n.db_ops/\ncache/\n")
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "revisions")


def state(project: Project) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in project.revision_files}


def squashed_file(project: Project) -> Path:
    (path,) = [one for one in project.revision_files if "squash" in one.name]
    return path


def files(project: Project) -> dict[str, str]:
    history = json.loads(project.run("history", "--json").succeeded().out)
    return {one["id"]: one["file"] for one in history["entries"]}


@pytest.fixture
def committed(migrated: Project) -> Project:
    """Three applied revisions that create tables one, two and three, in git."""
    commit(migrated)
    return migrated


def test_databases_past_it_go_on_and_new_ones_are_the_same(committed: Project, door: str) -> None:
    outcome = committed.run("squash", "--until", "0003", door=door).succeeded()
    assert "squash_up_to_create_three.py: 3 revisions squashed, " in outcome.out
    assert "databases at 0003 or past it go on as before" in outcome.out
    assert committed.revision_files == [squashed_file(committed)]
    assert "up to date" in committed.run("status", "--check").succeeded().out
    committed.table("0004", "four")
    assert "1 revision applied" in committed.run("upgrade").succeeded().out
    committed.run("verify", "--quick").succeeded()
    # None of its files was edited, or is missing: those that ran were squashed.
    assert files(committed) == {"0004": "unchanged", "0003": "unchanged"}
    before = committed.tables
    assert "2 revisions applied" in committed.run("recreate").succeeded().out
    assert committed.tables == before
    committed.run("downgrade", "base").succeeded()
    assert "one" not in committed.tables
    assert "now at 0004" in committed.run("init").succeeded().out


def test_a_file_that_is_edited_after_it_was_squashed_is_told_where_it_ran(
    committed: Project,
) -> None:
    committed.run("squash", "0003").succeeded()
    path = squashed_file(committed)
    path.write_text(path.read_text().replace("id integer NOT NULL", "id bigint NOT NULL", 1))
    assert files(committed) == {"0003": "unchanged"}
    committed.run("recreate").succeeded()
    path.write_text(path.read_text().replace("id bigint NOT NULL", "id integer NOT NULL", 1))
    assert files(committed) == {"0003": "edited"}


def test_a_database_before_it_is_told_the_commands_that_bring_it_there(committed: Project) -> None:
    committed.run("squash", "0003").succeeded()
    committed.query("UPDATE alembic_version SET version_num = '0002'; DROP TABLE three")
    # Nothing is committed yet.
    hint = committed.run("upgrade").failed(FAILED).hint
    assert "git stash --include-untracked && " in hint
    commit(committed)
    for command in ("init", "upgrade", "downgrade"):
        outcome = committed.run(command).failed(FAILED)
        assert outcome.error.endswith("is at 0002, which was squashed into 0003")
    assert "0002, which was squashed into 0003" in committed.alembic("upgrade", "head").out
    document = validated("status.json", committed.run("status", "--json").out)
    assert document["squashed"] == {"0002": "0003"}
    assert "unknown      0002, which was squashed into 0003" in committed.run("status").out
    assert "at 0002, which was squashed into 0003" in committed.run("verify").out
    told = committed.run("status").out.rpartition("next ")[2].split("&&")
    away, upgrade, back = (shlex.split(one) for one in told)
    git(committed, *away[1:])
    committed.run(*upgrade[-3:]).succeeded()
    git(committed, *back[1:])
    assert "up to date" in committed.run("status", "--check").succeeded().out


def test_every_kind_of_object_is_the_same_again(role: str, project: Project) -> None:
    sql = EVERY_KIND.read_text().replace("app_reader", role)
    (project.root / "every_kind.sql").write_text(sql)
    project.table("0001", "first")
    project.revision(
        "0002",
        "from pathlib import Path\n"
        "sql = (Path(__file__).parents[2] / 'every_kind.sql').read_text()\n"
        "op.get_bind().connection.cursor().execute(sql)",
    )
    project.revision("0003", "op.execute('DROP TABLE first')", label="main")
    project.table("0004", "late")
    commit(project)
    outcome = project.run("squash", "0003", "--keep-data").succeeded()
    assert "kept: 2 rows in child" in outcome.out
    assert "kept: sequence order_no is at 1500" in outcome.out
    assert "note: it has no downgrade" not in outcome.out
    text = squashed_file(project).read_text()
    assert 'branch_labels: str | Sequence[str] | None = ("main",)' in text.replace("'", '"')
    # Each is where revisions without a schema put it, but for what stands in bodies of functions.
    assert (text.count("public."), text.count("-- public.mv stays")) == (2, 1)
    project.run("init").succeeded()
    assert project.query("SELECT number FROM child ORDER BY 1") == [(1,), (2,)]
    assert project.query("SELECT nextval('order_no')") == [(1500,)]
    assert project.query("SELECT n, f_later() FROM mv") == [(0, 0)]
    assert project.query("SELECT mail FROM \"Users\" WHERE name ~ '\\:y$'") == []
    project.query("INSERT INTO \"Users\" (mail) VALUES ('a@b')")
    assert project.query('SELECT name FROM "Users"') == [("a\\:b :x \\d",)]
    project.query('DELETE FROM "Users"; DELETE FROM child')
    project.run("downgrade", "base").succeeded()
    assert project.query("SELECT proname FROM pg_proc WHERE proname = 'touch'") == []
    project.run("upgrade").succeeded()
    # Its template is what the role has rights in.
    project.run("cache", "--clear").succeeded()


def test_rows_that_revisions_leave_are_kept_or_dropped_as_is_said(committed: Project) -> None:
    committed.revision("0004", 'op.execute("INSERT INTO one VALUES (7), (8)")')
    committed.revision(
        "0005", "assert op.get_bind().exec_driver_sql('SELECT 1 FROM one').first()", "pass"
    )
    commit(committed)
    committed.run("upgrade").succeeded()
    before = state(committed)
    outcome = committed.run("squash", "0004")
    assert outcome.code == DIFFERENT
    assert "not squashed: the 4 revisions up to 0004 leave more than tables" in outcome.out
    assert "left by them: 2 rows in one" in outcome.out
    assert "data step: alembic/versions/0004.py:14: op.execute(" in outcome.out
    assert "squash --until 0004 --keep-data" in outcome.out
    assert state(committed) == before
    # A revision behind it needs them.
    outcome = committed.run("squash", "0004", "--drop-data")
    assert outcome.code == DIFFERENT
    assert "upgrade of 0005 failed" in outcome.out
    assert state(committed) == before
    document = validated(
        "squash.json", committed.run("squash", "0004", "--keep-data", "--json").succeeded().out
    )
    assert (document["done"], document["kept"], document["rows"]) == (True, True, ["2 rows in one"])
    assert [step["line"] for step in document["data_steps"]] == [14]
    committed.run("recreate").succeeded()
    assert committed.query("SELECT id FROM one ORDER BY 1") == [(7,), (8,)]


def test_rows_are_dropped_where_that_is_said(committed: Project) -> None:
    committed.revision("0004", 'op.execute("INSERT INTO one VALUES (7)")')
    commit(committed)
    committed.run("upgrade").succeeded()
    assert "dropped: 1 row in one" in committed.run("squash", "0004", "--drop-data").out
    committed.run("delete-db").succeeded()
    committed.run("init").succeeded()
    assert committed.query("SELECT id FROM one") == []


def test_what_revisions_do_outside_of_the_database_is_told(committed: Project) -> None:
    name = f"{committed.url.rpartition('/')[2]}_role"
    committed.revision(
        "0004", f"op.execute('CREATE ROLE {name}')", f"op.execute('DROP ROLE {name}')"
    )
    commit(committed)
    committed.query("DROP SCHEMA db_ops CASCADE; DROP TABLE one, two, three, alembic_version")
    outcome = committed.run("squash", "0004")
    assert outcome.code == DIFFERENT
    assert f"not in it: role {name} created" in outcome.out
    committed.revision("0005", f"op.execute('GRANT SELECT ON one TO {name}')")
    commit(committed)
    before = state(committed)
    outcome = committed.run("squash", "0005", "--drop-data")
    assert outcome.code == DIFFERENT
    assert f'role "{name}" does not exist' in outcome.out
    assert state(committed) == before


def test_files_that_git_does_not_have_are_not_removed(migrated: Project) -> None:
    outcome = migrated.run("squash", "0003").failed(REFUSED)
    assert "the last commit does not have alembic/versions/0001.py and 2 more" in outcome.error
    commit(migrated)
    path = migrated.revision_files[0]
    path.write_text(path.read_text() + "# mine\n")
    outcome = migrated.run("squash", "0003").failed(REFUSED)
    assert "the last commit does not have alembic/versions/0001.py as they are" in outcome.error
    assert "git add alembic/versions && git commit" in outcome.hint
    assert len(migrated.revision_files) == 3


@pytest.mark.parametrize("way", ["follows", "depends on"])
def test_a_revision_that_leaves_from_the_middle_is_named(committed: Project, way: str) -> None:
    if way == "follows":
        committed.revision("0004", down_revision="0002")
    else:
        committed.revision("0004", depends_on="0002")
    commit(committed)
    outcome = committed.run("squash", "0003").failed(REFUSED)
    assert f"alembic/versions/0004.py {way} 0002, which would be gone" in outcome.error
    assert "squash --until 0002" in outcome.hint


def test_a_database_that_could_not_go_on_is_upgraded_first(committed: Project) -> None:
    committed.run("downgrade").succeeded()
    outcome = committed.run("squash", "0003").failed(REFUSED)
    assert "is at 0002, which would be gone" in outcome.error
    committed.run(*shlex.split(outcome.hint)[-3:]).succeeded()
    committed.run("squash", "0003").succeeded()


def test_it_is_for_development_and_needs_a_revision(committed: Project) -> None:
    committed.env["DB_OPS_ENVIRONMENT"] = "production"
    assert "the environment is production" in committed.run("squash", "0003").failed(REFUSED).error
    committed.env["DB_OPS_ENVIRONMENT"] = "development"
    assert "0001 follows no other" in committed.run("squash", "0001").failed(REFUSED).error
    committed.run("squash").failed(MISUSED)
    committed.run("squash", "0009").failed(MISUSED)
    committed.run("squash", "0003", "--keep-data", "--drop-data").failed(MISUSED)


def test_a_squashed_history_is_squashed_again(committed: Project) -> None:
    committed.table("0004", "four")
    commit(committed)
    committed.run("squash", "0003").succeeded()
    commit(committed)
    committed.run("upgrade").succeeded()
    committed.run("squash", "0004").succeeded()
    text = squashed_file(committed).read_text()
    assert all(f'"{name}"' in text.replace("'", '"') for name in ("0001", "0002", "0003"))
    committed.query("UPDATE alembic_version SET version_num = '0001'")
    assert "0001, which was squashed into 0004" in committed.run("upgrade").failed(FAILED).error
    committed.query("UPDATE alembic_version SET version_num = '0004'")
    committed.run("verify", "--quick").succeeded()


def test_a_branch_is_squashed_with_what_it_depends_on_left_alone(project: Project) -> None:
    project.table("a1", "a_one")
    project.revision("a2", "op.execute('CREATE TABLE a_two ()')", label="a")
    project.revision(
        "b1", "op.execute('CREATE TABLE b_one ()')", down_revision=None, depends_on="a1", label="b"
    )
    project.table("b2", "b_two")
    for name in ("a1", "b1"):
        body = "AS $$ SELECT count(*) FROM b_two $$" if name == "b1" else "AS 'SELECT 1::bigint'"
        path = project.root / "alembic" / "versions" / f"{name}.py"
        function = f'op.execute("CREATE FUNCTION f_{name}() RETURNS bigint LANGUAGE sql {body}")'
        off = "op.execute('SET LOCAL check_function_bodies = off')"
        head, tail = path.read_text().split("\n\n\ndef downgrade")
        path.write_text(f"{head}\n    {off}\n    {function}\n\n\ndef downgrade{tail}")
    commit(project)
    project.run("squash", "b2").succeeded()
    text = squashed_file(project).read_text().replace("'", '"')
    assert 'depends_on: str | Sequence[str] | None = "a1"' in text
    assert 'branch_labels: str | Sequence[str] | None = ("b",)' in text
    assert "a_one" not in text
    assert "f_b1" in text
    project.run("init").succeeded()
    assert {"a_one", "a_two", "b_one", "b_two"} <= set(project.tables)
    commit(project)
    outcome = project.run("squash", "a2").failed(REFUSED)
    assert "depends on a1, which would be gone" in outcome.error


def test_files_in_folders_by_date_and_what_was_compiled_of_them_are_replaced(
    migrated: Project,
) -> None:
    ini = migrated.root / "alembic.ini"
    options = "recursive_version_locations = true\nsourceless = true"
    ini.write_text(
        re.sub(
            "file_template = .*",
            f"file_template = %%(year)d/%%(rev)s_%%(slug)s\n{options}",
            ini.read_text(),
        )
    )
    commit(migrated)
    migrated.run("status").succeeded()
    migrated.run("squash", "0003").succeeded()
    versions = migrated.root / "alembic" / "versions"
    (path,) = versions.rglob("*.py")
    assert path.name == "0003_squash_up_to_create_three.py"
    assert path.parent.name.isdigit()
    assert not [one for one in versions.rglob("*.pyc") if one.name.startswith("0001")]
    migrated.run("recreate").succeeded()
    assert "up to date" in migrated.run("status", "--check").succeeded().out
