"""Applications that use the database when they are made: run Alembic, ask, write."""

from __future__ import annotations

from pathlib import Path

from tests.support.foreign import KINDS, copy_project
from tests.support.launcher import Launcher
from tests.support.project import query

_FLASK = next(kind for kind in KINDS if kind.name == "flask_migrate")
_MIGRATES = """
    Migrate(app, db)
    from flask_migrate import stamp, upgrade
    with app.app_context():
        if not db.inspect(db.engine).has_table("alembic_version"):
            stamp("migrations", revision="base")
        upgrade("migrations")
"""
_WRITES = """
    with app.app_context():
        if db.inspect(db.engine).has_table("shelves"):
            db.session.merge(Shelf(id=1, room="hall"))
            db.session.commit()
"""


def test_an_application_that_migrates_when_it_is_made_does_not_under_us(
    tmp_path: Path, new_database_url: str, launcher: Launcher
) -> None:
    project = copy_project(_FLASK, tmp_path / "service", new_database_url, launcher)
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


def test_an_application_that_asks_and_writes_when_it_is_made_is_answered_by_the_database(
    tmp_path: Path, new_database_url: str, launcher: Launcher
) -> None:
    project = copy_project(_FLASK, tmp_path / "service", new_database_url, launcher)
    project.edit("app.py", "    Migrate(app, db)\n", _WRITES + "    Migrate(app, db)\n")
    assert "now at 0002" in project.run("init").succeeded().out
    assert "nothing to do" in project.run("init").succeeded().out
    assert "agree" in project.run("verify").succeeded().out
    # Looking writes nothing, whatever the application says.
    assert query(project.url, "SELECT count(*) FROM shelves") == [(0,)]
