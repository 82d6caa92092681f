"""A database that is ahead of the checkout: an old release starts again, or code is rolled back."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.support.doors import Outcome
from tests.support.project import Project
from tests.support.schemas import validated

FAILED, DIFFERENT = 1, 3
ONE = """
class One(Base):
    __tablename__ = "one"
    __table_args__ = (sa.PrimaryKeyConstraint("id", name="one_pkey"),)
    id: Mapped[int] = mapped_column(autoincrement=False)
"""


@pytest.fixture
def ahead(migrated: Project) -> Project:
    """A checkout of revision 0001, whose database a newer one has brought to 0003."""
    for path in migrated.revision_files[1:]:
        path.unlink()
    migrated.models(ONE)
    return migrated


def ahead_of(outcome: Outcome, schema: str) -> dict[str, Any]:
    return validated(schema, outcome.out)


@pytest.mark.parametrize("command", ["init", "upgrade"])
def test_a_command_of_an_older_release_has_nothing_to_do(
    ahead: Project, command: str, door: str
) -> None:
    ahead.env["DB_OPS_ENVIRONMENT"] = "production"
    before = ahead.fingerprint()
    outcome = ahead.run(command, door=door).succeeded()
    assert "at 0003, ahead of this checkout by 2 revisions (0002, 0003), nothing to do" in (
        outcome.out
    )
    result = ahead_of(ahead.run(command, "--json").succeeded(), f"{command}.json")
    assert result["heads"] == ["0003"]
    assert result["ahead"] == ["0002", "0003"]
    assert ahead.fingerprint() == before


def test_a_revision_that_is_applied_may_be_asked_for(ahead: Project) -> None:
    assert "ahead of this checkout" in ahead.run("upgrade", "-r", "0001").succeeded().out
    assert "pending: none" in ahead.run("upgrade", "-r", "+1").failed(FAILED).error


def test_status_lists_nothing_as_pending_and_history_everything_as_applied(ahead: Project) -> None:
    outcome = ahead.run("status", "--check").succeeded()
    assert "ahead        of this checkout by 2 revisions (0002, 0003)" in outcome.out
    assert "pending" not in outcome.out
    assert outcome.out.rstrip().endswith("nothing to do")
    status = ahead_of(ahead.run("status", "--check", "--json").succeeded(), "status.json")
    assert (status["unknown"], status["ahead"], status["pending"]) == (
        ["0003"],
        ["0002", "0003"],
        [],
    )
    history = ahead_of(ahead.run("history", "--json").succeeded(), "history.json")
    assert [(one["id"], one["applied"], one["file"]) for one in history["entries"]] == [
        ("0003", True, "missing"),
        ("0002", True, "missing"),
        ("0001", True, "unchanged"),
    ]
    assert history["ahead"] == ["0002", "0003"]
    assert "at 0003, ahead of this checkout by 2 revisions" in ahead.run("history").out


def test_the_quick_look_agrees_only_while_the_catalogs_are_as_the_newer_release_left_them(
    ahead: Project,
) -> None:
    outcome = ahead.run("verify", "--quick").succeeded()
    assert "at 0003, ahead of this checkout by 2 revisions (0002, 0003), catalogs as" in outcome.out
    ahead.query("CREATE TABLE by_hand ()")
    outcome = ahead.run("verify", "--quick")
    assert outcome.code == DIFFERENT
    assert "catalogs changed" in outcome.out


@pytest.mark.parametrize("arguments", [("status", "--check"), ("verify", "--quick"), ("verify",)])
def test_a_setting_makes_it_a_difference(ahead: Project, arguments: tuple[str, ...]) -> None:
    ahead.run(*arguments).succeeded()
    ahead.env["DB_OPS_AHEAD_IS_DIFFERENT"] = "1"
    outcome = ahead.run(*arguments)
    assert outcome.code == DIFFERENT
    assert "nothing to do" not in outcome.out
    if "status" in arguments:
        assert outcome.out.endswith("what is ahead counts as different (ahead_is_different)\n")
    ahead.run("init").succeeded()
    del ahead.env["DB_OPS_AHEAD_IS_DIFFERENT"]
    (ahead.root / "pyproject.toml").write_text("[tool.db_ops]\nahead_is_different = true\n")
    assert ahead.run(*arguments).code == DIFFERENT


def test_nothing_is_reverted_without_the_files(ahead: Project) -> None:
    before = ahead.fingerprint()
    for arguments in (("downgrade",), ("downgrade", "--plan"), ("history", "--record")):
        outcome = ahead.run(*arguments).failed(FAILED)
        assert "is ahead of this checkout by 0002, 0003" in outcome.error
        assert "run the release that has 0002, 0003" in outcome.hint
    assert ahead.fingerprint() == before


def test_nothing_is_planned_and_a_new_revision_can_be_written(ahead: Project) -> None:
    plan = ahead.run("upgrade", "--plan").succeeded()
    assert "ahead of this checkout by 2 revisions (0002, 0003), nothing to do" in plan.out
    script = ahead.run("upgrade", "--sql").succeeded()
    assert "ahead of this checkout by 0002, 0003" in script.err
    assert "CREATE TABLE" not in script.out


def git(project: Project, *arguments: str) -> None:
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    subprocess.run(
        ["git", *identity, *arguments], cwd=project.root, check=True, capture_output=True
    )


def test_the_hint_names_the_commit_that_has_the_files(migrated: Project) -> None:
    git(migrated, "init", "-q", "-b", "old")
    newer = migrated.revision_files[1:]
    git(migrated, "add", "alembic/versions/0001.py", "alembic.ini", "alembic/env.py", "models.py")
    git(migrated, "commit", "-qm", "old")
    git(migrated, "switch", "-qc", "new")
    git(migrated, "add", "alembic/versions")
    git(migrated, "commit", "-qm", "new")
    git(migrated, "switch", "-q", "old")
    assert not newer[0].exists()
    hint = migrated.run("downgrade").failed(FAILED).hint
    command = hint.rpartition(": ")[2]
    assert command.startswith("git switch --detach ")
    git(migrated, *command.split()[1:])
    migrated.run("downgrade").succeeded()
    assert migrated.query("SELECT version_num FROM alembic_version") == [("0002",)]


def test_a_database_of_another_branch_is_not_ahead(ahead: Project) -> None:
    ahead.last_revision = "0001"
    ahead.table("000b", "other")
    ahead.env["DB_OPS_ENVIRONMENT"] = "production"
    for command in ("init", "upgrade"):
        outcome = ahead.run(command).failed(FAILED)
        assert "is at 0003, which this checkout does not have, and 000b is not applied" in (
            outcome.error
        )
        assert "recreate" not in outcome.hint
    status = json.loads(ahead.run("status", "--json").out)
    assert ([one["id"] for one in status["pending"]], status["ahead"]) == (["000b"], [])
    assert ahead.run("status", "--check").code == DIFFERENT
    assert ahead.run("verify", "--quick").code == DIFFERENT
    ahead.env["DB_OPS_ENVIRONMENT"] = "development"
    assert "recreate" in ahead.run("init").failed(FAILED).hint


@pytest.mark.parametrize("command", ["init", "upgrade", "downgrade"])
def test_what_the_records_do_not_know_is_not_called_ahead(ahead: Project, command: str) -> None:
    ahead.query("DROP SCHEMA db_ops CASCADE")
    ahead.env["DB_OPS_ENVIRONMENT"] = "production"
    confirm = ("--confirm", ahead.url.rpartition("/")[2]) if command == "downgrade" else ()
    outcome = ahead.run(command, *confirm).failed(FAILED)
    assert "is at 0003, which this checkout does not have" in outcome.error
    assert "recreate" not in outcome.hint
    status = ahead.run("status", "--check")
    assert status.code == DIFFERENT
    assert "unknown      0003" in status.out
    assert "pending" not in status.out
    assert "up to date" not in status.out
    history = ahead.run("history").succeeded().out
    assert "which of these revisions are applied is not known" in history
    assert "* 0003" in history


def test_a_stamp_past_revisions_that_nobody_saw_is_not_called_ahead(migrated: Project) -> None:
    """The record of 0003 says that it follows 0002, and nothing tells what that follows."""
    migrated.query("TRUNCATE db_ops.history")
    migrated.query("TRUNCATE alembic_version")
    migrated.alembic("stamp", "0003").succeeded()
    for path in migrated.revision_files[1:]:
        path.unlink()
    assert "unknown      0003" in migrated.run("status").succeeded().out
    migrated.run("init").failed(FAILED)


def test_records_kept_by_the_present_state_know_the_whole_history(migrated: Project) -> None:
    migrated.query("DROP SCHEMA db_ops CASCADE")
    migrated.run("history", "--record").succeeded()
    for path in migrated.revision_files[1:]:
        path.unlink()
    assert "ahead of this checkout by 2 revisions" in migrated.run("init").succeeded().out


def test_what_the_plain_command_applied_is_known_too(migrated: Project) -> None:
    newest = migrated.table("0004", "four")
    migrated.alembic("upgrade", "head").succeeded()
    newest.unlink()
    assert "ahead of this checkout by 1 revision (0004)" in migrated.run("init").succeeded().out
    outcome = migrated.alembic("upgrade", "head")
    assert outcome.code != 0
    assert "is ahead of this checkout by 0004: Alembic needs their files" in outcome.err


def test_after_a_squash_the_release_before_it_still_starts(migrated: Project) -> None:
    old = {path: path.read_text() for path in migrated.revision_files}
    for path in old:
        path.unlink()
    squashed = migrated.revision("sq01", down_revision=None)
    migrated.alembic("stamp", "--purge", "sq01").succeeded()
    migrated.run("history", "--record").succeeded()
    squashed.unlink()
    for path, text in old.items():
        path.write_text(text)
    assert "ahead of this checkout by 1 revision (sq01)" in migrated.run("init").succeeded().out


def test_a_merge_and_its_branches_are_known(migrated: Project) -> None:
    files = [
        migrated.table("000a", "a"),
        migrated.revision("000b", down_revision="0003"),
        migrated.revision("000m", down_revision=("000a", "000b")),
    ]
    migrated.run("upgrade").succeeded()
    files[2].unlink()
    files[1].unlink()
    outcome = migrated.run("init").succeeded()
    assert "at 000m, ahead of this checkout by 2 revisions (000b, 000m)" in outcome.out


def test_one_branch_ahead_and_one_behind_is_told_and_not_applied(project: Project) -> None:
    """Alembic cannot upgrade one branch while it cannot locate the other one's revision."""
    for name in ("sales", "stock"):
        path = project.revision(
            f"{name}1",
            f"op.execute('CREATE TABLE {name} ()')",
            f"op.execute('DROP TABLE {name}')",
            down_revision=None,
        )
        path.write_text(path.read_text() + f"branch_labels = ({name!r},)\n")
    newest = project.revision("sales2", down_revision="sales1")
    project.prepare("init")
    newest.unlink()
    outcome = project.run("verify", "--quick").succeeded()
    assert "at sales2, stock1, ahead of this checkout by 1 revision (sales2)" in outcome.out
    project.run("init").succeeded()
    project.revision("stock2", down_revision="stock1")
    outcome = project.run("init").failed(FAILED)
    assert "is at sales2, which this checkout does not have, and stock2 is not applied" in (
        outcome.error
    )
    assert project.run("verify", "--quick").code == DIFFERENT


def test_records_of_an_earlier_version_get_their_column(migrated: Project) -> None:
    migrated.query("ALTER TABLE db_ops.history DROP COLUMN parents")
    assert "0003" in migrated.run("history").succeeded().out
    newest = migrated.table("0004", "four")
    migrated.run("upgrade").succeeded()
    newest.unlink()
    assert "ahead of this checkout by 1 revision (0004)" in migrated.run("init").succeeded().out


def test_a_branch_that_is_applied_is_not_rebased_behind_a_newer_release(migrated: Project) -> None:
    migrated.table("000a", "a")
    newest = migrated.table("000c", "c")
    migrated.run("upgrade").succeeded()
    newest.unlink()
    migrated.revision("000b", down_revision="0003")
    outcome = migrated.run("create-migration", "--rebase", "000a").failed(FAILED)
    assert "000a is applied there" in outcome.error


def test_doctor_and_diagram_say_that_it_is_ahead(ahead: Project) -> None:
    doctor = ahead.run("doctor").out
    assert "0002, 0003" in doctor
    assert "is ahead of this checkout by 0002, 0003" in ahead.run("diagram").failed(FAILED).error
