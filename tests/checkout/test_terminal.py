"""What a person sees: colours, progress that moves, one screen, and nothing of it elsewhere."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
import pytest

from db_ops.settings import DatabaseUrl
from tests.support.doors import command_line, run
from tests.support.project import Project
from tests.support.terminal import Terminal, terminal

ESCAPE = b"\x1b["


@contextmanager
def shown(
    project: Project, *arguments: str, columns: int = 80, lines: int = 24, **env: str
) -> Iterator[Terminal]:
    """Run commands of *project* on a terminal."""
    argv = command_line("manage_db", arguments, project.root)
    env = {**project.env, **env}
    with terminal(argv, cwd=project.root, env=env, columns=columns, lines=lines) as screen:
        yield screen


@pytest.fixture
def slow(project: Project) -> Project:
    """A project whose second revision ends once there is a file `go-on`, not within a second."""
    project.table("0001", "one")
    project.revision(
        "0002",
        """
        from pathlib import Path
        op.execute("SELECT pg_sleep(1.2)")
        while not Path("go-on").exists():
            op.execute("SELECT pg_sleep(0.05)")
        """,
        summary="sleep " * 40,
    )
    return project


def let_go_on(project: Project) -> None:
    (project.root / "go-on").touch()


def test_results_have_colours_on_a_terminal(migrated: Project) -> None:
    with shown(migrated, "status") as screen:
        assert screen.end() == 0
        assert ESCAPE in screen.written
        assert "up to date" in screen.text


@pytest.mark.parametrize(
    "env",
    [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": ""}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}],
)
def test_no_colours_where_they_are_unwanted(migrated: Project, env: dict[str, str]) -> None:
    with shown(migrated, "status", "delete-db", "--confirm", "other", **env) as screen:
        assert screen.end() == 4
        # The line that moves is taken away by another sequence, where there may be one.
        assert not re.search(rb"\x1b\[[\d;]*m", screen.written)
        assert "TERM" not in env or ESCAPE not in screen.written


@pytest.mark.parametrize(("value", "coloured"), [("1", True), ("0", False), ("", False)])
def test_force_color_is_for_pipes(migrated: Project, value: str, coloured: bool) -> None:
    migrated.env["FORCE_COLOR"] = value
    assert ("\x1b[" in migrated.run("status").out) == coloured


def test_a_pipe_gets_neither_colours_nor_a_moving_line(slow: Project) -> None:
    let_go_on(slow)
    outcome = slow.run("init", "--from-migrations").succeeded()
    assert "\x1b" not in outcome.out + outcome.err
    assert "\r" not in outcome.err


def test_a_long_revision_shows_how_long_it_runs_and_then_how_long_it_took(slow: Project) -> None:
    with shown(slow, "init", "--from-migrations") as screen:
        screen.wait_for("      running for 2 s")
        let_go_on(slow)
        assert screen.end() == 0
        assert "running for" not in screen.text
        (seconds,) = re.findall(r"done in (\d+)\.\d\d s", screen.text)
        assert int(seconds) >= 1
        assert max(map(len, screen.lines)) <= 80


@pytest.mark.parametrize("env", [{"CI": "true"}, {"TERM": "dumb"}])
def test_no_line_moves_where_nobody_watches(slow: Project, env: dict[str, str]) -> None:
    let_go_on(slow)
    with shown(slow, "init", "--from-migrations", **env) as screen:
        assert screen.end() == 0
        assert b"running for" not in screen.written


def test_a_blocked_revision_shows_who_blocks_it(migrated: Project) -> None:
    migrated.revision("0004", "op.execute('ALTER TABLE one ADD COLUMN more int')")
    parameters = DatabaseUrl.parse(migrated.url).parameters
    with closing(psycopg2.connect(**parameters, application_name="a clerk")) as blocker:
        blocker.cursor().execute("SELECT FROM one")
        with shown(migrated, "upgrade", columns=60) as screen:
            screen.wait_for("waits for pid")
            assert all(len(line) < 60 for line in screen.lines if "waits for" in line)
            blocker.rollback()
            assert screen.end() == 0
            assert "waits for pid" not in screen.lines[-1]


def test_a_pipe_is_told_once_who_blocks_a_revision(migrated: Project) -> None:
    migrated.revision("0004", "op.execute('ALTER TABLE one ADD COLUMN more int')")
    migrated.env |= {"DB_OPS_LOCK_TIMEOUT": "1.5", "DB_OPS_LOCK_RETRIES": "0"}
    parameters = DatabaseUrl.parse(migrated.url).parameters
    with closing(psycopg2.connect(**parameters, application_name="a clerk")) as blocker:
        blocker.cursor().execute("SELECT FROM one")
        outcome = migrated.run("upgrade")
    assert outcome.code == 5
    assert outcome.err.count("      waits for pid") == 1
    assert "a clerk" in outcome.err


def test_a_waiter_s_line_is_cut_at_the_width_of_the_terminal(slow: Project) -> None:
    with shown(slow, "init", "--from-migrations") as first:
        first.wait_for("apply 2/2")
        with shown(slow, "upgrade", columns=40) as second:
            second.wait_for("s, for db_ops in...")
            assert re.search(
                r"^      waiting for \d s, for db_ops in\.\.\.$", second.text, re.MULTILINE
            )
            let_go_on(slow)
            assert second.end() == 0
            assert "waiting for" not in second.text
            assert "at 0002, nothing to do" in second.text.replace("\n", "")
        first.end()


def test_a_result_fits_one_screen_and_says_what_it_left_out(project: Project) -> None:
    for number in range(1, 60):
        project.revision(f"{number:04}")
    project.env["NO_COLOR"] = "1"
    with shown(project, "status", lines=24) as screen:
        screen.end()
        assert screen.lines[0].startswith("database ")
        assert any("more lines; all of them: --verbose" in line for line in screen.lines)
        assert "\nnext " in screen.text
    assert "0030" in project.run("status").out
    with shown(project, "status", "-v", lines=200) as screen:
        screen.end()
        assert "0030" in screen.text


@pytest.mark.parametrize("lines", [1, 5])
def test_a_tiny_terminal_is_no_obstacle(project: Project, lines: int) -> None:
    for number in range(1, 30):
        project.revision(f"{number:04}")
    with shown(project, "status", columns=10, lines=lines) as screen:
        assert screen.end() == 0


def test_quiet_prints_only_what_was_asked_for(project: Project, door: str) -> None:
    project.table("0001", "one")
    outcome = project.run("init", "-q", door=door).succeeded()
    assert outcome.out + outcome.err == ""
    outcome = project.run("recreate", "--quiet", door=door).succeeded()
    assert outcome.out + outcome.err == ""
    assert "0001" in project.run("status", "-q", door=door).succeeded().out
    assert project.run("delete-db", "-q", "--confirm", "other", door=door).failed(4).error


def test_verbose_says_when_and_how_long(project: Project, door: str) -> None:
    project.table("0001", "one")
    outcome = project.run("init", "-v", "--from-migrations", door=door).succeeded()
    assert "apply 1/1" in outcome.err
    assert "done in 0." in outcome.err
    assert all(line.startswith("[") for line in outcome.err.splitlines())
    assert "0001  create one" in outcome.out.splitlines()[-1]


def test_quiet_and_verbose_contradict_each_other(project: Project) -> None:
    assert "contradict" in project.run("status", "-q", "-v").failed(2).error


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_another_encoding_is_no_obstacle(migrated: Project, encoding: str) -> None:
    migrated.revision("0004", summary="größer → 大")
    migrated.env["PYTHONIOENCODING"] = encoding
    argv = command_line("manage_db", ("status", "upgrade"), migrated.root)
    env = {"PATH": "/usr/bin:/bin", **migrated.env}
    done = subprocess.run(argv, cwd=migrated.root, env=env, capture_output=True, check=True)
    assert "\\u2192" in done.stdout.decode(encoding)


def test_a_locale_without_utf_8_is_no_obstacle(migrated: Project) -> None:
    migrated.revision("0004", summary="größer → 大")
    migrated.env |= {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    with shown(migrated, "status", "upgrade") as screen:
        assert screen.end() == 0
        assert "0004" in screen.text


def test_a_name_cannot_command_the_terminal(migrated: Project) -> None:
    migrated.revision("0004", summary="red \\x1b[31m alert")
    for command in ("status", "upgrade"):
        outcome = migrated.run(command).succeeded()
        assert "\x1b" not in outcome.out + outcome.err


def test_a_reader_that_leaves_early_is_no_traceback(migrated: Project) -> None:
    script = f"{' '.join(command_line('manage_db', ('status',), migrated.root))} | true"
    outcome = run(["bash", "-c", script], cwd=migrated.root, env=migrated.env).succeeded()
    assert "Traceback" not in outcome.err
    assert "BrokenPipe" not in outcome.err
