"""Every hint names the command as it is typed at the door that was used, with what it needs."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

import db_ops
from db_ops.errors import DatabaseMissing, MultipleHeads
from db_ops.errors.invocation import Invocation, as_typed, invocation
from db_ops.settings import DatabaseUrl, Settings
from tests.support.doors import BIN, run
from tests.support.project import Project

TWO_WORDS = "label=two words"


@pytest.fixture
def elsewhere(project: Project) -> Project:
    """A project whose ini lies in a folder of its own and has a section of another name."""
    project.table("0001", "one")
    ini = (project.root / "alembic.ini").read_text()
    (project.root / "alembic.ini").unlink()
    (project.root / "deploy").mkdir()
    text = ini.replace("[alembic]", "[billing]").replace("%(here)s", "%(here)s/..")
    (project.root / "deploy" / "own.ini").write_text(text)
    return project


def test_a_hint_repeats_the_options_that_were_given_and_works_as_it_stands(
    elsewhere: Project,
) -> None:
    given = ("--config", "deploy/own.ini", "--name", "billing", "-x", TWO_WORDS)
    outcome = elsewhere.run(*given, "upgrade").failed(1)
    program = f"python {elsewhere.root}/scripts/manage_db.py"
    typed = f"{program} --config deploy/own.ini --name billing -x 'label=two words' init"
    assert outcome.hint.endswith(typed)
    again = elsewhere.run(*shlex.split(typed)[2:]).succeeded()
    assert "now at 0001" in again.out
    hint = elsewhere.run("upgrade", "-r", "nope", *given).failed(2).hint
    typed = f"{program} --config deploy/own.ini --name billing -x 'label=two words' history"
    assert typed in hint
    assert "0001" in elsewhere.run(*shlex.split(typed)[2:]).succeeded().out


def test_a_hint_for_alembic_is_for_the_same_configuration(elsewhere: Project) -> None:
    given = ("--config", "deploy/own.ini", "--name", "billing", "-x", TWO_WORDS)
    for revision in ("1000", "2000"):
        elsewhere.revision(revision, down_revision="0001")
    hint = elsewhere.run("init", *given).failed(2).hint
    assert "alembic -c deploy/own.ini -n billing -x 'label=two words' merge -m" in hint


def test_json_documents_and_results_name_commands_as_they_are_typed(elsewhere: Project) -> None:
    given = ("-c", "deploy/own.ini", "--name", "billing")
    program = f"python {elsewhere.root}/scripts/manage_db.py --config deploy/own.ini --name billing"
    document = json.loads(elsewhere.run(*given, "status", "--json").succeeded().out)
    assert document["next_command"] == f"{program} init"
    document = json.loads(elsewhere.run(*given, "upgrade", "--json").failed(1).out)
    assert document["hint"].endswith(f"{program} init")
    document = json.loads(elsewhere.run(*given, "verify", "--json").out)
    assert [one["remedy"] for one in document["differences"]] == [f"{program} init"]


def test_plain_alembic_names_our_command_with_the_options_that_it_was_given(
    elsewhere: Project,
) -> None:
    outcome = elsewhere.alembic(
        "-c", "deploy/own.ini", "-n", "billing", "-x", TWO_WORDS, "upgrade", "head"
    )
    assert outcome.code != 0
    typed = "db-ops --config deploy/own.ini --name billing -x 'label=two words' init"
    assert typed in outcome.err + outcome.out
    run([str(BIN / "db-ops"), *shlex.split(typed)[1:]], cwd=elsewhere.root, env=elsewhere.env)
    assert elsewhere.tables == ["alembic_version", "one"]
    # The lock and the records are those of the section, too.
    elsewhere.table("0002", "two")
    elsewhere.alembic("-c", "deploy/own.ini", "-n", "billing", "upgrade", "head").succeeded()
    shown = elsewhere.run("-c", "deploy/own.ini", "--name", "billing", "history").succeeded().out
    assert shown.count("applied 20") == 2


def test_inv_is_named_with_where_its_tasks_are(project: Project) -> None:
    (project.root / "operations.py").write_text(
        "from invoke.collection import Collection\n"
        "from db_ops.cli import collection\n"
        "namespace = Collection()\n"
        "namespace.add_collection(collection, name='database')\n"
    )
    argv = [str(BIN / "inv"), "-c", "operations", "database.upgrade"]
    outcome = run(argv, cwd=project.root, env=project.env).failed(1)
    assert outcome.hint.endswith("inv -c operations database.init")
    shown = run([*argv[:3], "database"], cwd=project.root, env={}).succeeded().out
    assert "\n  database.init  " in shown
    assert shown.endswith("inv -c operations database.COMMAND --help\n")


def test_a_caller_from_python_is_told_of_the_installed_command(project: Project) -> None:
    settings = Settings(project.root / "alembic.ini", DatabaseUrl.parse(project.url))
    with pytest.raises(DatabaseMissing) as caught:
        db_ops.upgrade(settings)
    assert caught.value.hint.endswith("db-ops init")


def test_a_name_in_a_hint_is_left_as_it_is() -> None:
    token = invocation.set(Invocation("inv", ("-c", "my tasks"), "db.", ("-n", "b")))
    try:
        hint = MultipleHeads("alembic.ini", ("a", "b")).hint
        assert "inv -c 'my tasks' db.create-migration" in hint
        assert "alembic -n b merge -m 'merge heads' heads" in hint
        # Twice is as once, and a path or a package is no command.
        assert as_typed(hint) == hint
        for text in ("pip install 'db-ops[embedded]'", "alembic.ini", "alembic/versions/a.py"):
            assert as_typed(text) == text
    finally:
        invocation.reset(token)


def test_the_sources_name_commands_in_one_way() -> None:
    root = Path(db_ops.__file__).parent
    told = [path for path in root.rglob("*.py") if "inv db." in path.read_text()]
    assert [path.name for path in told] == ["invocation.py"]


@pytest.mark.parametrize(
    ("given", "place", "said"),
    [
        ("", "tables.py", "put prepend_sys_path = %(here)s below [alembic] in alembic.ini"),
        ("", "src/tables", "put prepend_sys_path = %(here)s/src below [alembic] in alembic.ini"),
        ("lib", "tables.py", "add %(here)s to prepend_sys_path in alembic.ini"),
    ],
)
def test_where_a_module_is_that_env_py_does_not_find_is_said(
    project: Project, given: str, place: str, said: str
) -> None:
    project.table("0001", "one")
    models = project.root / place
    models.parent.mkdir(exist_ok=True)
    if models.suffix:
        models.write_text("METADATA = None\n")
    else:
        models.mkdir()
        (models / "__init__.py").write_text("METADATA = None\n")
    env_py, ini = project.root / "alembic" / "env.py", project.root / "alembic.ini"
    env_py.write_text("from tables import METADATA\n\n" + env_py.read_text())
    search = f"prepend_sys_path = %(here)s/{given}\n" if given else ""
    ini.write_text("[alembic]\nscript_location = %(here)s/alembic\n" + search)
    outcome = project.run("init").failed(1)
    assert "No module named 'tables'" in outcome.error
    assert outcome.hint.startswith(f"{said}, then run the same command again")
    added = f"prepend_sys_path = %(here)s/{given}:%(here)s\n"
    put = said.removeprefix("put ").partition(" below")[0] + "\n"
    text = "[alembic]\nscript_location = %(here)s/alembic\npath_separator = os\n"
    ini.write_text(text + (added if given else put))
    project.run("init").succeeded()
