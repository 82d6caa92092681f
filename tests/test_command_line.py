"""The command line of `db-ops` and `manage_db.py`: options, chains, help, completion, mistakes."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import groupby

import pytest

from db_ops.cli.arguments import split_commands
from db_ops.cli.commands import BY_NAME, COMMANDS
from db_ops.cli.completion import completion_candidates
from db_ops.cli.declaration import COMMON_OPTIONS
from db_ops.cli.other_tools import ELSEWHERE
from tests.support.doors import BIN, run
from tests.support.project import Project


@pytest.mark.parametrize(
    ("arguments", "said", "hint"),
    [
        (("statsu",), "there is no command 'statsu'", "did you mean: ... status"),
        (("db.init",), "there is no command 'db.init'", "did you mean: ... init"),
        (("xyzzy",), "there is no command 'xyzzy'", "see the commands: ... --help"),
        (("status", "head"), "'head' is neither one of its options nor a command", "... status"),
        (("upgrade", "0001", "0002"), "'0002' is neither one of its options", "... upgrade"),
        (("upgrade", "-r", "0001", "0002"), "'0002' is neither one of its options", "... upgrade"),
        (("migrate",), "no command 'migrate'", "what 'migrate' does elsewhere: ... upgrade"),
        (("db.reset",), "no command 'db.reset'", "what 'db.reset' does elsewhere: ... recreate"),
        (("help",), "there is no command 'help'", "see the commands: ... --help"),
        (("list",), "there is no command 'list'", "see the commands: ... --help"),
        (("version",), "no command 'version'", "what 'version' does elsewhere: ... status"),
        (("init", "--seed"), "there is no option --seed", "see the options: ... init --help"),
        (("upgrade", "--paln"), "there is no option --paln", "did you mean: ... upgrade --plan"),
        (("--plan", "upgrade"), "before the first command", "... upgrade --plan"),
        (("status", "--bogus"), "there is no option --bogus", "... status --help"),
        (("status", "-qz"), "there is no option -z", "... status --help"),
        (("status", "--json=1"), "--json: ignored explicit argument", "... status --help"),
        (("downgrade", "-s"), "-s/--steps: expected one argument", "... downgrade --help"),
        (("downgrade", "0001"), "'0001' is not a number of revisions", "revert: ... history"),
        (("downgrade", "-s", "a1f0"), "'a1f0' is not a number of rev", "revert: ... history"),
        (("downgrade", "-s", "--plan"), "-s lacks its value, N", "... downgrade --help"),
        (("snapshot",), "arguments are required: NAME", "... snapshot --help"),
        (("create-migration", "-m", "a", "-m", "b"), "more than once", "create-migration --help"),
        (("--name", "a", "status", "--name", "b"), "--name: given more than once", "... --help"),
        (("--name=", "status"), "--name: it is empty", "leave it out"),
    ],
)
def test_a_mistake_on_the_command_line_is_named_before_anything_runs(
    project: Project, arguments: tuple[str, ...], said: str, hint: str
) -> None:
    outcome = project.run(*arguments).failed(2)
    assert said in outcome.error
    program = f"python {project.root}/scripts/manage_db.py"
    assert hint.replace("...", program) in outcome.hint
    assert outcome.out == ""


def test_a_mistake_in_the_last_command_of_a_chain_keeps_the_first_from_running(
    project: Project,
) -> None:
    project.table("0001", "one")
    project.run("init", "verify", "--bogus").failed(2)
    assert "does not exist" in project.run("status").out


def test_an_option_given_twice_is_one_error_under_inv_too(migrated: Project) -> None:
    outcome = migrated.run("create-migration", "-m", "a", "-m", "b", door="inv").failed(2)
    assert "--message is given 2 times" in outcome.error
    assert len(migrated.revision_files) == 3


def test_options_for_all_commands_stand_before_the_first_one_or_after_any(
    migrated: Project,
) -> None:
    outcome = migrated.run("--json", "status", "url").succeeded()
    assert [line[:11] for line in outcome.out.splitlines()] == ['{"result": '] * 2
    outcome = migrated.run("status", "-q", "url", "--json", "history").succeeded()
    assert outcome.out.count('{"result": ') == 1
    # A cluster of letters, a value in the same word, and one that begins with a dash.
    assert migrated.run("downgrade", "-pqs2").succeeded().out.count("revert ") == 2
    assert "not a number" in migrated.run("downgrade", "--steps=-x").failed(2).error
    assert "-1 is not 1 or more" in migrated.run("downgrade", "-s", "-1").failed(2).error
    assert len(migrated.tables) == 4


def test_what_follows_a_command_elsewhere_follows_it_here(migrated: Project) -> None:
    assert "2 revisions reverted" in migrated.run("downgrade", "-2").succeeded().out
    assert migrated.query("SELECT version_num FROM alembic_version") == [("0001",)]
    migrated.run("upgrade", "+1", "status").succeeded()
    assert migrated.query("SELECT version_num FROM alembic_version") == [("0002",)]
    migrated.run("upgrade", "head").succeeded()
    assert migrated.query("SELECT version_num FROM alembic_version") == [("0003",)]
    assert "0001" in migrated.run("downgrade", "base", "--plan").succeeded().out
    migrated.run("downgrade", "base").succeeded()
    assert migrated.query("SELECT version_num FROM alembic_version") == []
    assert migrated.tables == ["alembic_version"]
    migrated.run("downgrade", "base").succeeded()
    migrated.models(
        'class One(Base):\n    __tablename__ = "one"\n    id: Mapped[int] = '
        "mapped_column(primary_key=True)\n"
    )
    migrated.run("create-migration", "add a serial").succeeded()
    assert "add_a_serial" in migrated.revision_files[-1].name


def test_every_word_of_another_tool_leads_to_a_command_line_of_ours() -> None:
    for word, ours in ELSEWHERE.items():
        assert word not in BY_NAME
        line = split_commands(ours.split())
        assert len(line.commands) == 1


def test_a_value_may_be_called_like_a_command(migrated: Project) -> None:
    outcome = migrated.run("snapshot", "status", "status").succeeded()
    assert "kept as status" in outcome.out
    assert "up to date" in outcome.out
    dropped = migrated.run("snapshots", "--drop", "status").succeeded().out
    assert "dropped the snapshot status" in dropped


def test_help_is_shown_wherever_it_is_asked_for_and_nothing_runs(project: Project) -> None:
    for arguments in ((), ("--help",), ("-h",), ("--list",)):
        text = project.run(*arguments).succeeded().out
        assert "Write, apply and revert migrations:" in text
    for arguments in (("init", "--help"), ("init", "-qh"), ("init", "status", "init", "-h")):
        text = project.run(*arguments).succeeded().out
        assert "every migration, even where a template database could be copied" in " ".join(
            text.split()
        )
    assert "does not exist" in project.run("status").succeeded().out


def test_the_commands_are_listed_by_purpose_by_db_ops_alone_and_by_inv_db_alone(
    project: Project,
) -> None:
    def listed(text: str, prefix: str) -> list[tuple[str, list[str]]]:
        groups = re.findall(r"^(\w.*):\n((?:  .*\n)+)", text, re.MULTILINE)
        row = re.compile(rf"^  {re.escape(prefix)}([a-z-]+)  ", re.MULTILINE)
        return [(purpose, row.findall(rows)) for purpose, rows in groups if row.search(rows)]

    by_purpose = groupby(COMMANDS, key=lambda command: command.purpose)
    expected = [(purpose, [one.name for one in commands]) for purpose, commands in by_purpose]
    assert len({purpose for purpose, _ in expected}) == len(expected)
    assert listed(project.run(door="db-ops").succeeded().out, "") == expected
    inv = str(BIN / "inv")
    shown = run([inv, "db"], cwd=project.root, env={}).succeeded().out
    assert listed(shown, "db.") == expected
    assert shown.endswith(": inv db.COMMAND --help\n")
    assert "db.help (db) " in run([inv, "--list"], cwd=project.root, env={}).succeeded().out


def test_help_says_the_same_under_inv(project: Project) -> None:
    def words(text: str) -> str:
        return " ".join(text.split())

    for name in ("create-migration", "downgrade", "snapshot"):
        command = next(command for command in COMMANDS if command.name == name)
        ours = words(project.run(name, "--help").succeeded().out)
        argv = [str(BIN / "inv"), "--help", f"db.{name}"]
        theirs = words(run(argv, cwd=project.root, env={}).succeeded().out)
        said = [command.summary, command.details, *(one.help for one in command.all_options)]
        for text in said:
            assert words(text) in ours
            assert words(text) in theirs


def test_every_letter_means_one_option_of_a_command() -> None:
    for command in COMMANDS:
        flags = [flag for option in command.all_options for flag in option.flags]
        assert len(flags) == len({*flags, "-h"} - {"-h"}), command.name


def test_a_stranger_is_told_in_sentences() -> None:
    for command in COMMANDS:
        for option in (*command.options, *COMMON_OPTIONS):
            assert option.help[0].isupper(), (command.name, option.name)
            assert option.help.endswith((".", ").")), (command.name, option.name)
        assert command.summary.endswith("."), command.name


def test_the_program_does_without_invoke(project: Project) -> None:
    # Without any, Alembic is asked whether it sees none either.
    project.table("0001", "one")
    code = (
        "import sys; sys.argv = ['db-ops', 'status']\n"
        "from db_ops.cli.program import main\n"
        "try: main()\n"
        "finally: print(*sorted(sys.modules), file=sys.stderr)"
    )
    # environs is for variables that have to be parsed, and none of them is set.
    env = {name: value for name, value in project.env.items() if not name.startswith("DB_OPS_")}
    outcome = run([sys.executable, "-c", code], cwd=project.root, env=env).succeeded()
    assert "database " in outcome.out
    unused = {"invoke", "sqlalchemy", "alembic", "environs", "marshmallow"}
    assert not unused & set(outcome.err.split())


@pytest.mark.parametrize(
    ("words", "some", "none"),
    [
        ([""], {"init", "status"}, {"--json"}),
        (["sta"], {"status", "start"}, {"stop"}),
        (["--"], {"--name", "--config", "--json"}, {"--plan"}),
        (["upgrade", "--"], {"--plan", "--json", "--name"}, {"--steps"}),
        (["upgrade", "-r", ""], set(), {"init"}),
        (["snapshot", ""], set(), {"init"}),
        (["snapshot", "one", ""], {"init"}, set()),
        (["--name", "init", ""], {"init"}, set()),
        (["--config", "=", "i"], set(), {"init"}),
        (["status", "downgrade", "-"], {"--steps"}, {"--check"}),
        (["--print-completion-script", ""], {"bash", "zsh", "fish"}, {"init"}),
    ],
)
def test_what_may_come_next_is_completed(words: list[str], some: set[str], none: set[str]) -> None:
    found = set(completion_candidates(words))
    assert some <= found
    assert not none & found


def test_the_script_for_bash_completes_both_programs(project: Project) -> None:
    script = project.run("--print-completion-script", "bash").succeeded().out
    for program in ("db-ops", "python scripts/manage_db.py", "python -m db_ops"):
        typed = [*program.split(), "upgrade", "--pl"]
        words = " ".join(f"'{word}'" for word in typed)
        shell = f"{script}\nCOMP_WORDS=({words}); COMP_CWORD={len(typed) - 1}\n_db_ops_complete\n"
        done = subprocess.run(
            ["bash", "-c", shell + 'printf "%s\\n" "${COMPREPLY[@]}"; complete -p'],
            cwd=project.root,
            env={"PATH": f"{BIN}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
        )
        assert done.stdout.splitlines()[0] == "--plan", done.stderr
        for name in ("db-ops", "manage_db.py", "python"):
            assert f"-F _db_ops_complete {name}\n" in done.stdout


def test_a_shell_that_is_not_known_is_misuse(project: Project) -> None:
    assert "bash, zsh, fish" in project.run("--print-completion-script", "csh").failed(2).error
