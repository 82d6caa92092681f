"""A database that is ahead of the checkout: an old release starts again, or code is rolled back."""

from __future__ import annotations

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
    assert ahead.run(*arguments).code == DIFFERENT
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
