"""An env.py that asks which command of Alembic runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.foreign import KINDS, ForeignProject, copy_project
from tests.support.launcher import Launcher
from tests.support.project import query

_BY_NAME = {kind.name: kind for kind in reversed(KINDS)}
ASKS = """
given = config.cmd_opts
name, asked = given.cmd[0].__name__, getattr(given, "revision", None)
assert name in ("current", "upgrade", "downgrade", "stamp", "revision"), name
with open("typed.txt", "a") as file:
    file.write(f"{name} {asked}\\n")
"""


@pytest.fixture
def asking(tmp_path: Path, new_database_url: str, launcher: Launcher) -> ForeignProject:
    project = copy_project(_BY_NAME["ini_url"], tmp_path / "asking", new_database_url, launcher)
    project.edit("alembic/env.py", "config = context.config\n", f"config = context.config\n{ASKS}")
    return project


def typed(project: ForeignProject) -> list[str]:
    """Return what env.py was told since it was asked last."""
    path = project.root / "typed.txt"
    said = path.read_text().splitlines()
    path.unlink()
    return list(dict.fromkeys(said))


def test_env_py_is_told_the_command_of_alembic_that_does_the_same(asking: ForeignProject) -> None:
    asking.run("init").succeeded()
    assert typed(asking) == ["current None", "upgrade 0002"]
    asking.run("downgrade", "-s", "2").succeeded()
    assert "downgrade 0002-2" in typed(asking)
    asking.run("upgrade").succeeded()
    assert "upgrade 0002" in typed(asking)
    asking.run("verify").succeeded()
    assert "revision None" in typed(asking)
    asking.run("stamp", "-r", "0001", "--anyway").succeeded()
    assert "stamp None" in typed(asking)


def test_a_revision_is_told_where_the_command_leads_to(asking: ForeignProject) -> None:
    told = asking.root / "told.txt"
    tell = f"    open({str(told)!r}, 'a').write(f'{{context.get_revision_argument()}} ')\n"
    for file in (asking.root / "alembic" / "versions").glob("*.py"):
        text = file.read_text().replace("from alembic import op", "from alembic import context, op")
        for function in ("def upgrade():\n", "def downgrade():\n"):
            assert function in text
            text = text.replace(function, function + tell)
        file.write_text(text)
    # Asked on the way to a connection, too.
    asking.edit(
        "alembic/env.py",
        "\nif context.is_off",
        "\ncontext.get_revision_argument()\nif context.is_off",
    )
    for words, expected in (
        (("init",), "0002 0002 "),
        (("downgrade", "-s", "1"), "0001 "),
        (("upgrade",), "0002 "),
        (("downgrade", "-s", "2"), "None None "),
    ):
        told.unlink(missing_ok=True)
        asking.run(*words).succeeded()
        assert told.read_text() == expected, words


@pytest.mark.parametrize("way", ["stamp", "bootstrap"])
def test_a_placeholder_for_the_url_does_not_stop_what_records_a_revision(
    asking: ForeignProject, way: str
) -> None:
    ini = asking.root / "alembic.ini"
    lines = ini.read_text().splitlines()
    url = "sqlalchemy.url = driver://user:pass@localhost/dbname"
    ini.write_text("\n".join(url if "sqlalchemy.url" in one else one for one in lines))
    asking.env["DATABASE_URL"] = asking.url
    if way == "bootstrap":
        (asking.root / "pyproject.toml").write_text(
            '[tool.db_ops]\nbootstrap = "first_schema:create"\n'
        )
        (asking.root / "first_schema.py").write_text(
            "from models import Base\n"
            "def create(connection):\n"
            "    Base.metadata.create_all(connection)\n"
            "    return 'head'\n"
        )
    asking.run("init").succeeded()
    asking.run("stamp", "-r", "0001", "--anyway").succeeded()
    assert query(asking.url, "SELECT version_num FROM alembic_version") == [("0001",)]
