"""Labelled branches, merges and dependencies: what is announced is what runs, and no more."""

from __future__ import annotations

import json

import pytest

from tests.support.project import Project

DIFFERENT = 3


def table(project: Project, revision: str, **placed: object) -> None:
    """Write a revision that creates a table of its own name."""
    project.revision(
        revision,
        f"op.execute('CREATE TABLE {revision} (id int)')",
        f"op.execute('DROP TABLE {revision}')",
        **placed,  # type: ignore[arg-type]  # down_revision, label, depends_on
    )


def at(project: Project) -> set[object]:
    return {row[0] for row in project.query("SELECT version_num FROM alembic_version")}


def type_hint(project: Project, hint: str) -> None:
    """Type the first command that *hint* names, as it stands."""
    command = hint.partition("manage_db.py ")[2].partition(", or ")[0]
    project.run(*command.split()).succeeded()


@pytest.fixture
def branches(project: Project) -> Project:
    """Two labelled branches with a revision in common, applied."""
    table(project, "root1", down_revision=None)
    table(project, "sales1", down_revision="root1", label="sales")
    table(project, "stock1", down_revision="root1", label="stock")
    table(project, "stock2", down_revision="stock1")
    project.prepare("init")
    return project


@pytest.fixture
def merged(project: Project) -> Project:
    """A merge of two revisions and one on top, applied."""
    table(project, "aaa1", down_revision=None)
    table(project, "ddd1", down_revision="aaa1")
    table(project, "bbb1", down_revision="aaa1")
    table(project, "mmm1", down_revision=("ddd1", "bbb1"))
    table(project, "ccc1", down_revision="mmm1")
    project.prepare("init")
    return project


def test_labelled_heads_are_at_head_for_every_command_that_looks(branches: Project) -> None:
    branches.run("status", "--check").succeeded()
    branches.run("verify", "--quick").succeeded()
    branches.run("downgrade", "--branch", "sales").succeeded()
    assert branches.run("status", "--check").code == DIFFERENT
    assert branches.run("verify", "--quick").code == DIFFERENT


def test_a_downgrade_of_a_branch_reverts_that_branch_alone(branches: Project, door: str) -> None:
    outcome = branches.run("downgrade", "--branch", "sales", "-s", "1", door=door).succeeded()
    assert "revert 1/1  sales1" in outcome.err
    assert at(branches) == {"stock2"}
    assert branches.tables == ["alembic_version", "root1", "stock1", "stock2"]
    assert "1 revision applied" in branches.run("upgrade", "-r", "sales@head").succeeded().out
    branches.run("status", "--check").succeeded()
    assert "several heads" not in branches.run("verify", "--quick").succeeded().out


def test_steps_ahead_on_several_branches_are_counted_on_the_one_that_is_named(
    branches: Project,
) -> None:
    branches.prepare("downgrade", steps=1, branch="sales")
    branches.prepare("downgrade", steps=2, branch="stock")
    outcome = branches.run("upgrade", "-r", "+1").failed(1)
    assert "pending: s" in outcome.error
    assert at(branches) == {"root1"}
    branches.run("upgrade", "-r", "stock@+2").succeeded()
    assert at(branches) == {"stock2"}
    branches.run("upgrade", "-r", "root1+1").failed(1)
    branches.run("upgrade", "-r", "stock@head-1").succeeded()
    branches.run("upgrade", "-r", "sales@heads").succeeded()
    assert at(branches) == {"sales1", "stock2"}


def test_what_another_branch_needs_is_not_reverted_with_this_one(branches: Project) -> None:
    before = branches.fingerprint()
    for plan in ((), ("--plan",)):
        refused = branches.run("downgrade", "--branch", "sales", "-s", "2", *plan).failed(1)
        assert "root1 cannot be reverted alone, it is needed by: stock1" in refused.error
        assert refused.hint.endswith(" ".join(("downgrade", *plan, "--branch stock2")))
    assert branches.fingerprint() == before
    type_hint(branches, refused.hint.replace(" --plan", ""))
    assert at(branches) == {"sales1", "stock1"}


def test_the_plan_of_a_branch_is_what_its_downgrade_reverts(branches: Project) -> None:
    before = branches.fingerprint()
    for branch, steps in (("sales", ["sales1"]), ("stock1", ["stock2"]), ("sale", ["sales1"])):
        plan = branches.run("downgrade", "--plan", "--branch", branch, "--json").succeeded()
        told = json.loads(plan.out)
        assert [one["revision"]["id"] for one in told["revisions"]] == steps
        assert set(told["goal"]) == {"sales1", "stock2", "stock1"} - set(steps) - (
            {"stock1"} if branch != "stock1" else set()
        )
    assert branches.fingerprint() == before


def test_without_a_branch_every_branch_is_named_by_a_command_that_works(branches: Project) -> None:
    before = branches.fingerprint()
    plan = branches.run("downgrade", "--plan").failed(1)
    type_hint(branches, plan.hint)
    assert branches.fingerprint() == before
    outcome = branches.run("downgrade").failed(1)
    assert "downgrade --branch sales, or " in outcome.hint
    assert outcome.hint.endswith("downgrade --branch stock")
    type_hint(branches, outcome.hint)
    assert at(branches) == {"stock2"}


def test_of_a_branch_that_is_not_applied_nothing_is_reverted(branches: Project) -> None:
    branches.run("downgrade", "--branch", "stock", "-s", "2").succeeded()
    branches.run("downgrade", "--branch", "sales").succeeded()
    assert at(branches) == {"root1"}
    outcome = branches.run("downgrade", "--branch", "sales").failed(1)
    assert "cannot revert 1, only 0 applied of sales" in outcome.error
    assert at(branches) == {"root1"}
    branches.run("downgrade", "--branch", "root1").succeeded()
    assert at(branches) == set()


def test_a_branch_that_is_none_and_one_that_may_be_several_are_told_apart(
    branches: Project,
) -> None:
    outcome = branches.run("downgrade", "--branch", "nosuch").failed(2)
    assert outcome.error == "alembic/versions: no revision 'nosuch'"
    type_hint(branches, outcome.hint)
    outcome = branches.run("downgrade", "--branch", "sto").failed(2)
    assert "'sto' means several revisions: stock1, stock2" in outcome.error
    type_hint(branches, outcome.hint)
    assert at(branches) == {"sales1", "stock1"}


def test_a_revision_that_a_dependency_needs_stays(project: Project) -> None:
    table(project, "sales1", down_revision=None, label="sales")
    table(project, "stock1", down_revision=None, label="stock", depends_on="sales1")
    project.prepare("init")
    assert at(project) == {"stock1"}
    outcome = project.run("downgrade", "--branch", "sales").failed(1)
    assert "sales1 cannot be reverted alone, it is needed by: stock1" in outcome.error
    assert project.tables == ["alembic_version", "sales1", "stock1"]
    assert "at stock1, catalogs as recorded" in project.run("verify", "--quick").succeeded().out
    type_hint(project, outcome.hint)
    assert at(project) == {"sales1"}
    project.run("downgrade", "--branch", "sales").succeeded()
    assert project.tables == ["alembic_version"]


def test_a_merge_and_a_parent_of_it_are_reverted_in_one_go(merged: Project) -> None:
    order = merged.query("SELECT revision FROM db_ops.history ORDER BY id DESC LIMIT 3")
    plan = json.loads(merged.run("downgrade", "--plan", "-s", "3", "--json").succeeded().out)
    outcome = merged.run("downgrade", "-s", "3", "--json").succeeded()
    done = [step["revision"]["id"] for step in json.loads(outcome.out)["steps"]]
    assert done == [row[0] for row in order]
    assert [one["revision"]["id"] for one in plan["revisions"]] == done
    assert set(plan["goal"]) == at(merged)
    assert len(at(merged)) == 1
    merged.run("downgrade", "-s", "2").succeeded()
    assert at(merged) == set()
    merged.run("init").succeeded()
    assert at(merged) == {"ccc1"}


@pytest.mark.parametrize("first", ["bbb1", "ddd1"])
def test_parents_of_a_reverted_merge_go_in_reverse_order_of_application(
    merged: Project, first: str
) -> None:
    merged.prepare("downgrade", steps=4)
    merged.prepare("upgrade", revision=first)
    merged.prepare("upgrade")
    merged.run("downgrade", "-s", "3").succeeded()
    assert at(merged) == {first}


def test_parents_of_a_merge_without_records_are_reverted_all_the_same(merged: Project) -> None:
    merged.query("DROP SCHEMA db_ops CASCADE")
    merged.env["DB_OPS_RECORDS"] = "0"
    for left in (4, 3, 2, 1, 0):
        merged.run("downgrade").succeeded()
        assert len(merged.tables) == left + 1


def test_each_parent_of_a_reverted_merge_is_a_branch(merged: Project) -> None:
    merged.run("downgrade", "-s", "2").succeeded()
    assert at(merged) == {"bbb1", "ddd1"}
    outcome = merged.run("downgrade", "--branch", "bbb1", "-s", "2").failed(1)
    assert "aaa1 cannot be reverted alone, it is needed by: ddd1" in outcome.error
    merged.run("downgrade", "--branch", "bbb").succeeded()
    assert at(merged) == {"ddd1"}
    merged.run("downgrade", "--branch", "ddd1", "-s", "2").succeeded()
    assert at(merged) == set()
