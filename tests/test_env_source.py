"""env.py decides where the recorded revision is, and whether it is ours, by what it runs."""

from __future__ import annotations

import pytest

from tests.support.project import Project

HEAD = """
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from models import Base

"""
SPELLINGS = {
    "renamed": ("from db_ops import run_migrations as run\nrun(Base.metadata{})\n"),
    "module": ("import db_ops as environment\nenvironment.run_migrations(Base.metadata{})\n"),
    "dotted": ("import db_ops.settings\ndb_ops.run_migrations(\n    Base.metadata{})\n"),
    "package": ("import db_ops\ndb_ops.run_migrations(Base.metadata{})\n"),
    "star in a function": (
        "def main():\n"
        "    import importlib\n"
        "    env = importlib.import_module('db_ops')\n"
        "    env.run_migrations(Base.metadata{})\n"
        "main()\n"
    ),
}
OPTIONS = {
    "a text": ', version_table="v"',
    "a name": ", version_table=NAME",
    "a mapping": ", **{'version_table': 'v'}",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_env_py_is_ours_however_it_imports_the_body(project: Project, spelling: str) -> None:
    project.table("0001", "one")
    env_py = project.root / "alembic" / "env.py"
    env_py.write_text(HEAD + SPELLINGS[spelling].format(""))
    assert "1 revision applied" in project.run("init").succeeded().out
    assert project.query("SELECT version_num FROM alembic_version") == [("0001",)]


@pytest.mark.parametrize("option", OPTIONS)
def test_the_version_table_that_env_py_gives_is_the_one_that_is_looked_at(
    project: Project, option: str
) -> None:
    project.table("0001", "one")
    body = SPELLINGS["module"].format(OPTIONS[option])
    (project.root / "alembic" / "env.py").write_text(f"{HEAD}NAME = 'v'\n{body}")
    project.run("init").succeeded()
    assert project.query("SELECT version_num FROM v") == [("0001",)]
    assert project.tables == ["one", "v"]
    project.table("0002", "two")
    assert "0001" in project.run("status").succeeded().out
    assert "1 revision applied" in project.run("init").succeeded().out
    assert "nothing to do" in project.run("init").succeeded().out
    assert "current: 0002" in project.run("status").out or "0002" in project.run("status").out
    project.run("downgrade").succeeded()
    assert project.query("SELECT version_num FROM v") == [("0001",)]
    assert project.alembic("current").out.startswith("0001")


def test_a_schema_that_env_py_gives_for_the_version_table_counts(project: Project) -> None:
    project.revision("0001", "op.execute('CREATE TABLE one ()')")
    project.prepare("init")
    project.query("CREATE SCHEMA kept")
    project.query("ALTER TABLE alembic_version SET SCHEMA kept")
    body = SPELLINGS["renamed"].format(', version_table_schema="kept"')
    (project.root / "alembic" / "env.py").write_text(HEAD + body)
    assert "0001" in project.run("status", "--check").succeeded().out


def test_a_comment_that_names_our_module_makes_no_env_py_ours(project: Project) -> None:
    project.table("0001", "one")
    (project.root / "alembic" / "env.py").write_text(
        "# instead of db_ops.run_migrations, by hand:\n"
        "from alembic import context\n"
        "from sqlalchemy import create_engine\n"
        f"engine = create_engine({project.url!r}.replace('postgresql:', 'postgresql+psycopg2:'))\n"
        "with engine.connect() as connection:\n"
        "    context.configure(connection=connection, version_table='by_hand')\n"
        "    with context.begin_transaction():\n"
        "        context.run_migrations()\n"
    )
    project.run("init").succeeded()
    assert project.tables == ["by_hand", "one"]


def test_a_body_that_another_module_calls_is_refused_by_name(project: Project) -> None:
    project.table("0001", "one")
    body = SPELLINGS["module"].format("")
    (project.root / "its_env.py").write_text(f"{HEAD}{body}")
    (project.root / "alembic" / "env.py").write_text(
        "import sys\nfrom pathlib import Path\n"
        "sys.path.insert(0, str(Path(__file__).parents[1]))\nimport its_env\n"
    )
    outcome = project.run("init").failed(1)
    assert "another module calls db_ops.run_migrations" in outcome.error
