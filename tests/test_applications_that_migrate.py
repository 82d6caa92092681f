"""Applications that run Alembic's commands themselves when they are made."""

from __future__ import annotations

from pathlib import Path

from tests.support.foreign import KINDS, copy_project
from tests.support.launcher import Launcher
from tests.support.project import query

_MIGRATES = """
    Migrate(app, db)
    from flask_migrate import stamp, upgrade
    with app.app_context():
        if not db.inspect(db.engine).has_table("alembic_version"):
            stamp("migrations", revision="base")
        upgrade("migrations")
"""


def test_an_application_that_migrates_when_it_is_made_does_not_under_us(
    tmp_path: Path, new_database_url: str, launcher: Launcher
) -> None:
    kind = next(kind for kind in KINDS if kind.name == "flask_migrate")
    project = copy_project(kind, tmp_path / "service", new_database_url, launcher)
    project.edit("app.py", "    Migrate(app, db)\n", _MIGRATES)
    assert "2 revisions applied" in project.run("init").succeeded().out
    assert "agree" in project.run("verify").succeeded().out
    project.change_model()
    project.run("create-migration", "-m", "count pages").succeeded()
    # Nothing but what is asked for.
    version = "SELECT version_num FROM alembic_version"
    assert query(project.url, version) == [("0002",)]
    project.run("upgrade").succeeded()
    project.run("downgrade", "-s", "2").succeeded()
    assert query(project.url, version) == [("0001",)]
