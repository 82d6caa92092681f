"""On GitHub and GitLab, what is wrong is shown beside the change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.project import Project

ONE = """
class One(Base):
    __tablename__ = "one"
    __table_args__ = (sa.PrimaryKeyConstraint("id", name="one_pkey"),)
    id: Mapped[int] = mapped_column(autoincrement=False)
"""


@pytest.fixture
def github(migrated: Project, tmp_path: Path) -> Project:
    """A project on GitHub's runner, in a folder of its repository."""
    migrated.models(ONE)
    migrated.env |= {
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(tmp_path),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }
    return migrated


@pytest.fixture
def gitlab(migrated: Project) -> Project:
    """A project on GitLab's runner."""
    migrated.models(ONE)
    migrated.env |= {"CI": "true", "GITLAB_CI": "true", "CI_PROJECT_DIR": str(migrated.root)}
    return migrated


def annotations(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("::")]


def report(project: Project) -> list[dict[str, object]]:
    entries: list[dict[str, object]] = json.loads(
        (project.root / "gl-code-quality-report.json").read_text()
    )
    return entries


def test_github_shows_an_error_with_its_hint(github: Project) -> None:
    outcome = github.run("delete-db", "--confirm", "100%\n::x").failed(4)
    (line,) = annotations(outcome.err)
    assert line.startswith("::error title=db-ops delete-db::")
    assert "%0Anext: if this database" in line
    assert "100%25" in line


def test_github_shows_an_error_at_its_file_and_line(github: Project) -> None:
    github.revision_files[0].write_text("revision = '0001'\ndown_revision = None\n1 / 0\n")
    outcome = github.run("recreate", "--from-migrations").failed(1)
    (line,) = annotations(outcome.err)
    assert line.startswith("::error file=project/alembic/versions/0001.py,line=3,title=db-ops")


def test_github_shows_every_difference(github: Project) -> None:
    outcome = github.run("verify")
    assert outcome.code == 3
    lines = annotations(outcome.err)
    assert len(lines) >= 2
    assert all(line.startswith("::error title=db-ops verify::") for line in lines)
    assert annotations(outcome.out) == []


def test_github_is_told_how_many_more_there_are(github: Project) -> None:
    for number in range(20):
        github.query(f"CREATE TABLE extra_{number} (id int)")
    lines = annotations(github.run("verify").err)
    assert len(lines) == 10
    assert "more, see the log" in lines[-1]


def test_github_shows_that_a_database_is_behind(github: Project) -> None:
    github.table("0004", "four")
    outcome = github.run("status", "--check", "--json")
    assert outcome.code == 3
    json.loads(outcome.out)
    (line,) = annotations(outcome.err)
    assert "pending" in line


def test_github_s_summary_has_what_was_done_and_found(github: Project, tmp_path: Path) -> None:
    github.table("0004", "four")
    github.run("upgrade").succeeded()
    github.run("verify")
    github.run("delete-db", "--confirm", "other").failed(4)
    github.run("url", "--with-password").succeeded()
    summary = (tmp_path / "summary.md").read_text()
    assert [line for line in summary.splitlines() if line.startswith("### ")] == [
        "### `db-ops upgrade`",
        "### `db-ops verify`",
        "### `db-ops delete-db`",
    ]
    assert "1 revision applied" in summary
    assert "s3cr" not in summary


def test_a_summary_that_cannot_be_written_is_no_failure(github: Project) -> None:
    github.env["GITHUB_STEP_SUMMARY"] = str(github.root)
    github.table("0004", "four")
    github.run("upgrade").succeeded()
    assert "four" in github.tables


def test_gitlab_gets_a_report_of_the_differences(gitlab: Project) -> None:
    gitlab.run("verify")
    entries = report(gitlab)
    assert entries
    for entry in entries:
        assert entry.keys() == {
            "description", "check_name", "fingerprint", "severity", "location",
        }  # fmt: skip
        assert entry["check_name"] == "db-ops verify"
    assert len({str(entry["fingerprint"]) for entry in entries}) == len(entries)


def test_gitlab_s_report_is_empty_again_when_all_is_well(gitlab: Project) -> None:
    gitlab.run("verify")
    gitlab.models(
        "".join(ONE.replace("One", n.title()).replace("one", n) for n in ("one", "two", "three"))
    )
    gitlab.run("verify").succeeded()
    assert report(gitlab) == []


def test_gitlab_s_report_keeps_what_another_command_found(gitlab: Project) -> None:
    gitlab.run("verify")
    before = len(report(gitlab))
    gitlab.run("delete-db", "--confirm", "other").failed(4)
    assert len(report(gitlab)) == before + 1


def test_elsewhere_nothing_is_annotated_and_nothing_written(migrated: Project) -> None:
    migrated.models(ONE)
    outcome = migrated.run("verify")
    assert annotations(outcome.out + outcome.err) == []
    assert not (migrated.root / "gl-code-quality-report.json").exists()
