"""`DB_OPS_DEBUG=1` shows the project's own traceback, also of what ran in another process."""

from __future__ import annotations

import json

from tests.support.project import Project

FAILED = 1


def test_the_traceback_of_another_process_is_shown(migrated: Project) -> None:
    migrated.env["DB_OPS_DEBUG"] = "1"
    (migrated.root / "helpers.py").write_text(
        "PASSWORD = 'hunter2'\n\n\ndef help_out():\n"
        "    raise LookupError('postgresql://u:hunter2@db/app is nowhere')\n"
    )
    migrated.revision(
        "0004",
        "import sys\nfrom pathlib import Path\n"
        "sys.path.insert(0, str(Path(__file__).parents[2]))\n"
        "from helpers import help_out\nhelp_out()",
    )
    migrated.models('sa.Table("four", Base.metadata, sa.Column("id", sa.Integer))')
    outcome = migrated.run("create-migration", "-m", "x")
    assert outcome.code == FAILED
    assert "Traceback (most recent call last)" in outcome.err
    assert 'helpers.py", line 5, in help_out' in outcome.err
    assert '0004.py", line 18, in upgrade' in outcome.err
    assert "LookupError: postgresql://***@db/app is nowhere" in outcome.err
    assert "hunter2" not in outcome.err
    assert "db_ops/" not in outcome.err.partition("Traceback")[2].partition("error: ")[0]
    assert outcome.error.startswith("alembic/versions/0004.py:18: upgrade of 0004 failed: Lookup")
    assert "  at helpers.py:5 | raise LookupError(" in outcome.err
    assert outcome.hint


def test_the_exit_code_and_the_document_are_those_of_a_command_without_it(
    project: Project,
) -> None:
    project.env["DB_OPS_DEBUG"] = "1"
    project.table("0001", "one")
    (project.root / "models.py").write_text("import no_such_module\n")
    outcome = project.run("recreate", "--json")
    assert outcome.code == FAILED
    document = json.loads(outcome.out)
    assert document["error"] == "EnvironmentBroken"
    assert (document["details"]["path"], document["details"]["line"]) == ("models.py", 1)
    assert 'models.py", line 1, in <module>' in outcome.err
    project.env["DB_OPS_LOG"] = "json"
    logged = [json.loads(line) for line in project.run("recreate").err.splitlines()]
    (failed,) = [one for one in logged if one["event"] == "Failed"]
    assert "models.py" in failed["traceback"]
