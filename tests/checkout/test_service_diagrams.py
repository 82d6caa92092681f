"""The diagrams of the service in the documentation are those of its migrations."""

from __future__ import annotations

import pytest

from tests.support.doors import run
from tests.support.project import REPOSITORY

PAGES = ("schema.md", "revisions.md")


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_diagram_is_up_to_date(name: str, new_database_url: str) -> None:
    env = {"DATABASE_URL": new_database_url, "DB_OPS_SPARE": "0"}
    option = ["--revisions"] if name == "revisions.md" else []
    path = f"docs/{name}"
    for arguments in (["init"], ["diagram", *option, "--check", "--output", path]):
        argv = ["python", "scripts/manage_db.py", *arguments]
        run(argv, cwd=REPOSITORY, env=env).succeeded()
