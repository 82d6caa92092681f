"""The lines that set up completion, as the documentation has them, in the shells themselves."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

import pytest

from tests.support.doors import run
from tests.support.project import REPOSITORY, Project
from tests.support.terminal import Terminal, terminal

PAGE = (REPOSITORY / "docs" / "installation.md").read_text()
PROMPT = "ready>"
PROMPTS = {
    "bash": (".bashrc", f"PS1='{PROMPT} '"),
    "zsh": (".zshrc", f"PS1='{PROMPT} '"),
    "fish": (".config/fish/config.fish", f"function fish_prompt; echo '{PROMPT} '; end"),
}
SHELLS = sorted(PROMPTS)


def set_up(shell: str, home: Path, project: Project, door: str) -> dict[str, str]:
    """Run the lines of the page for *shell*; return the environment of whoever typed them."""
    if not shutil.which(shell):
        pytest.fail(f"{shell} is not installed: apt-get install {shell}")
    section = PAGE.partition("\n## Completion\n")[2].partition("\n## ")[0]
    (lines,) = re.findall(
        rf"^In {shell}:\n(?:<!--[^\n]*-->)?\n```sh\n(.*?)^```", section, re.M | re.S
    )
    env = {"HOME": str(home), "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}
    # Or fish, when it first starts, reads all manual pages for a minute, and goes on after us.
    env["FISH_UNIT_TESTS_RUNNING"] = "1"
    file, prompt = PROMPTS[shell]
    (home / file).parent.mkdir(parents=True, exist_ok=True)
    (home / file).write_text(f"{prompt}\n")
    script = lines.replace("db-ops --print", f"{door} --print")
    run([shell, "-c", script], cwd=project.root, env=env).succeeded()
    return env


def press(screen: Terminal, typed: str, completed: str) -> None:
    """Type at a new prompt, press TAB, and wait until the line reads *completed*."""
    wait_for_line(screen, PROMPT)
    os.write(screen.descriptor, f"{typed}\t".encode())
    wait_for_line(screen, f"{PROMPT} {completed}")
    os.write(screen.descriptor, b"\x15")


def wait_for_line(screen: Terminal, line: str) -> None:
    deadline = time.monotonic() + 30
    while screen.lines[-1] != line:
        assert screen.read(), f"ended without {line!r}:\n{screen.text}"
        assert time.monotonic() < deadline, f"no {line!r} in:\n{screen.text}"


@pytest.mark.parametrize("shell", SHELLS)
def test_tab_completes_what_the_page_says(project: Project, tmp_path: Path, shell: str) -> None:
    env = set_up(shell, tmp_path / "home", project, "db-ops")
    with terminal([shell, "-i"], cwd=project.root, env=env, columns=100) as screen:
        press(screen, "db-ops upgr", "db-ops upgrade")
        press(screen, "db-ops upgrade --pl", "db-ops upgrade --plan")
        press(screen, "db-ops status check-m", "db-ops status check-models")
        press(screen, "db-ops load alembic.i", "db-ops load alembic.ini")
        press(screen, "db-ops --config=alembic.i", "db-ops --config=alembic.ini")
        press(screen, "inv db.downg", "inv db.downgrade")
        press(screen, "inv db.downgrade --st", "inv db.downgrade --steps")


@pytest.mark.parametrize("shell", SHELLS)
def test_tab_completes_the_script_too_where_it_has_printed_the_lines(
    project: Project, tmp_path: Path, shell: str
) -> None:
    env = set_up(shell, tmp_path / "home", project, "python scripts/manage_db.py")
    if shell == "fish":
        # It reads what is in `completions` only for a command of that name.
        folder = tmp_path / "home" / ".config" / "fish"
        (folder / "conf.d").mkdir(exist_ok=True)
        shutil.move(folder / "completions" / "db-ops.fish", folder / "conf.d")
    (project.root / "other.py").touch()
    with terminal([shell, "-i"], cwd=project.root, env=env, columns=100) as screen:
        press(screen, "python scripts/manage_db.py upgr", "python scripts/manage_db.py upgrade")
        press(screen, "python -m db_ops upgrade --pl", "python -m db_ops upgrade --plan")
        press(screen, "db-ops upgr", "db-ops upgrade")
        press(screen, "python other.py alembic.i", "python other.py alembic.ini")
