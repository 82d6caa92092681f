"""What happens in a scratch database is said to happen there, and not to the target."""

from __future__ import annotations

import json

import pytest

from tests.support.project import Project


@pytest.mark.parametrize(
    "command", [("verify",), ("create-migration", "-m", "x"), ("upgrade", "--plan")]
)
def test_a_failed_scratch_build_does_not_speak_of_the_target(
    migrated: Project, command: tuple[str, ...]
) -> None:
    migrated.models('sa.Table("four", Base.metadata, sa.Column("id", sa.Integer))')
    migrated.revision("0004", "op.execute('SELECT 1/0')")
    before = migrated.fingerprint()
    outcome = migrated.run(*command)
    said = outcome.out + outcome.err
    database = migrated.url.rpartition("/")[2]
    assert "0004.py:14: upgrade of 0004 failed: division by zero; " in said
    assert f"{database}: 0 of" not in said
    assert f"{database}: 3 of" not in said
    if command != ("upgrade", "--plan"):
        assert f"{database} (scratch database): 3 of 4 applied" in said
        assert "then: run the same command again" in said
    else:
        assert f"the database is as it was: 127.0.0.1:{migrated.url.rpartition(':')[2]}" in said
    assert migrated.fingerprint() == before


def test_progress_in_a_scratch_database_says_so(migrated: Project) -> None:
    migrated.table("0004", "four")
    migrated.env["DB_OPS_LOG"] = "json"
    events = [json.loads(line) for line in migrated.run("verify").err.splitlines()]
    started = [one for one in events if one["event"] == "RevisionStarted"]
    assert len(started) == 3
    assert all(one["scratch"] for one in started)
    migrated.env["DB_OPS_LOG"] = "text"
    ini = migrated.root / "alembic.ini"
    ini.write_text(f"{ini.read_text()}# another key\n")
    assert "  apply 1/3 in a scratch database  0001  create one" in migrated.run("verify").err


def test_a_database_that_is_built_and_stays_is_no_scratch_database(project: Project) -> None:
    project.table("0001", "one")
    project.revision("0002", "op.execute('SELECT 1/0')")
    outcome = project.run("init").failed(1)
    assert "scratch" not in outcome.err
    assert "1 of 2 applied (0001), database at 0001" in outcome.error
