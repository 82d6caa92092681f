"""Without `DATABASE_URL`: the project's own server, started on demand, still there afterwards."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from tests.support.launcher import Launcher
from tests.support.project import Project, make_project


@pytest.fixture
def own_server(launcher: Launcher) -> Iterator[Project]:
    """A project without `DATABASE_URL`, in a folder whose name has a space."""
    folder = Path(tempfile.mkdtemp(prefix="db_ops "))
    folder.chmod(0o755)
    project = make_project(folder / "my service", "", launcher.run)
    del project.env["DATABASE_URL"]
    project.table("0001", "one")
    yield project
    project.run("stop")
    shutil.rmtree(folder)


def test_init_starts_a_server_that_survives_the_command(own_server: Project, door: str) -> None:
    outcome = own_server.run("init", door=door).succeeded()
    assert "starting the embedded server in .db_ops" in outcome.err
    assert "embedded/app: created, 1 revision applied" in outcome.out
    url = own_server.run("url").succeeded().out.strip()
    connection = psycopg2.connect(url)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM one")
        assert cursor.fetchone() == (0,)
    connection.close()
    assert "nothing to do" in own_server.run("init", door=door).succeeded().out


def test_the_data_survives_stop_and_start(own_server: Project) -> None:
    own_server.run("init", "stop").succeeded()
    assert "was not running" in own_server.run("stop").succeeded().out
    result = json.loads(own_server.run("start", "--json").succeeded().out)
    assert result["started"]
    assert "already runs" in own_server.run("start").succeeded().out
    assert "nothing to do" in own_server.run("init").succeeded().out


def test_recreate_and_delete_work_on_it(own_server: Project) -> None:
    own_server.run("init", "recreate", "status").succeeded()
    assert "dropped" in own_server.run("delete-db").succeeded().out


def test_libpq_s_variables_do_not_lead_elsewhere(own_server: Project) -> None:
    own_server.env |= {"PGHOST": "192.0.2.1", "PGHOSTADDR": "192.0.2.1", "PGPORT": "1"}
    own_server.run("init").succeeded()
