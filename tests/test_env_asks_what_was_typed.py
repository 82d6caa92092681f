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
# As an env.py does that was told no more by Alembic: by what its commands call their function.
ASKS_FUNCTION = """
        options = context.get_context().opts
        with open("function.txt", "a") as file:
            file.write(f"{options['fn'].__name__} {'destination_rev' in options}\\n")
"""
NO_DOWNGRADE = """
        if context.get_context().opts["fn"].__name__ == "downgrade":
            raise RuntimeError("downgrades are not allowed here")
"""
# Of an env.py that looks at what is going to be run.
LISTS = """
        migration = context.get_context()
        listed = list(migration.opts["fn"](migration.get_current_heads(), migration))
        connection.commit()
"""
CHECKS = """
        def checked(heads, migration, plan=context.get_context().opts["fn"]):
            steps = list(plan(heads, migration))
            assert all(step.revision.revision for step in steps)
            return steps
        context.configure(connection=connection, target_metadata=Base.metadata, fn=checked)
"""
CREATES = """
        if context.config.cmd_opts.cmd[0].__name__ == "upgrade":
            empty = not inspect(connection).get_table_names()
            if empty and context.config.cmd_opts.revision == "head":
                Base.metadata.create_all(connection)
                context.configure(connection=connection)
                context.get_context().stamp(context.script, "head")
                connection.commit()
                return
            connection.rollback()
"""
_IMPORTS = "from alembic import context\nfrom sqlalchemy import inspect\n"
_CONFIGURED = "        context.configure(connection=connection, target_metadata=Base.metadata)\n"


@pytest.fixture
def asking(tmp_path: Path, new_database_url: str, launcher: Launcher) -> ForeignProject:
    project = copy_project(_BY_NAME["ini_url"], tmp_path / "asking", new_database_url, launcher)
    project.edit("alembic/env.py", "config = context.config\n", f"config = context.config\n{ASKS}")
    return project


def configured(project: ForeignProject, then: str) -> None:
    """Let env.py do something once it has called `context.configure`."""
    project.edit("alembic/env.py", _CONFIGURED, _CONFIGURED + then)


def typed(project: ForeignProject) -> list[str]:
    """Return what env.py was told since it was asked last."""
    path = project.root / "typed.txt"
    said = path.read_text().splitlines()
    path.unlink()
    return list(dict.fromkeys(said))


def test_env_py_is_told_the_command_of_alembic_that_does_the_same(asking: ForeignProject) -> None:
    asking.run("init").succeeded()
    assert typed(asking) == ["current None", "upgrade head"]
    asking.run("downgrade", "-s", "2").succeeded()
    assert "downgrade base" in typed(asking)
    asking.run("upgrade", "-r", "0001").succeeded()
    assert "upgrade 0001" in typed(asking)
    asking.run("upgrade").succeeded()
    assert "upgrade head" in typed(asking)
    asking.run("downgrade", "-s", "1").succeeded()
    assert "downgrade 0001" in typed(asking)
    asking.run("upgrade").succeeded()
    asking.run("verify").succeeded()
    assert "revision None" in typed(asking)
    asking.run("stamp", "-r", "0001", "--anyway").succeeded()
    assert "stamp None" in typed(asking)


def test_env_py_sees_the_command_in_the_name_of_its_function(asking: ForeignProject) -> None:
    configured(asking, ASKS_FUNCTION)
    for words, expected in (
        (("init",), "upgrade True"),
        (("downgrade", "-s", "1"), "downgrade True"),
        (("upgrade",), "upgrade True"),
        (("verify",), "retrieve_migrations False"),
        (("stamp", "-r", "0001", "--anyway"), "do_stamp True"),
    ):
        path = asking.root / "function.txt"
        path.unlink(missing_ok=True)
        asking.run(*words).succeeded()
        said = {*path.read_text().splitlines()}
        assert expected in said, (words, said)
        assert said <= {expected, "display_version False", "upgrade True"}, (words, said)


def test_env_py_that_refuses_to_go_back_is_heard(asking: ForeignProject) -> None:
    asking.run("init").succeeded()
    configured(asking, NO_DOWNGRADE)
    assert "downgrades are not allowed here" in asking.run("downgrade", "-s", "1").failed(1).error
    assert query(asking.url, "SELECT version_num FROM alembic_version") == [("0002",)]
    assert "nothing to do" in asking.run("upgrade").succeeded().out


@pytest.mark.parametrize("looks", [LISTS, CHECKS], ids=["lists", "checks"])
def test_env_py_may_look_at_the_steps_before_they_are_run(
    asking: ForeignProject, looks: str
) -> None:
    configured(asking, looks)
    outcome = asking.run("init").succeeded()
    assert outcome.err.count("apply 1/2") == outcome.err.count("apply 2/2") == 1
    assert "2 revisions applied" in outcome.out
    asking.run("downgrade", "-s", "1").succeeded()
    asking.edit("alembic/versions/0002_create_books.py", "op.create_table(", "op.rename_table(")
    error = asking.run("upgrade").failed(1).error
    assert "0002_create_books.py" in error


def test_env_py_that_makes_a_new_database_from_the_models_does(asking: ForeignProject) -> None:
    asking.edit("alembic/env.py", "from alembic import context\n", _IMPORTS)
    asking.edit("alembic/env.py", _CONFIGURED, CREATES + _CONFIGURED)
    # What is older than the first revision was made by something else.
    asking.edit("alembic/versions/0001_create_shelves.py", '"shelves",', '"shelves", 1 / 0,')
    assert "0002" in asking.run("init").succeeded().out
    assert query(asking.url, "SELECT version_num FROM alembic_version") == [("0002",)]
    asking.run("verify").succeeded()


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
