"""The pages of the documentation: their command lines are run, and the site is built of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import markdown
import pytest

from scripts.site_hooks import on_page_content
from tests.support.doors import in_a_shell, run
from tests.support.pages import Step, pages, steps
from tests.support.project import REPOSITORY

PAGES = [path for path in pages() if any(steps(path.read_text()))]
# What is no source, wherever it lies.
LEFT_OUT = (".git", ".venv", ".db_ops", "__pycache__", ".*_cache", "*.egg-info", "site", "dist")
SHELL = """
set -o pipefail
[ ! -e "$STATE" ] || . "$STATE"
cd "$(cat "$STATE.cwd" 2>/dev/null || pwd)"
eval "$COMMAND"
code=$?
unset COMMAND
export -p > "$STATE"
pwd > "$STATE.cwd"
exit $code
"""


@pytest.fixture
def checkout() -> Iterator[Path]:
    """A copy of the sources, whose server is stopped behind the test.

    In a folder that everybody may enter, or root's server would have its data elsewhere.
    """
    folder = Path(tempfile.mkdtemp(prefix="db_ops-docs-"))
    folder.chmod(0o755)
    root = folder / "checkout"
    shutil.copytree(REPOSITORY, root, ignore=shutil.ignore_patterns(*LEFT_OUT))
    yield root
    for home in folder.rglob(".db_ops"):
        run([sys.executable, "-m", "db_ops", "stop"], cwd=home.parent, env={})
    shutil.rmtree(folder)


def perform(step: Step, root: Path) -> tuple[int, str]:
    """Run one step in the shell that the steps before it have left."""
    env = {
        "STATE": str(root.parent / "state"),
        "COMMAND": step.command,
        "XDG_CACHE_HOME": str(root.parent / "cache"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        ["bash", "-c", SHELL],
        cwd=root,
        env=in_a_shell(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_command_line_of_a_page_does_what_the_page_says(path: Path, checkout: Path) -> None:
    for step in steps(path.read_text()):
        code, printed = perform(step, checkout)
        told = f"$ {step.command}\n{printed}(exit {code})"
        assert code == step.exit_code if step.exit_code is not None else code, told
        assert step.missing(printed) is None, f"{told}\nmissing: {step.missing(printed)}"


def test_the_site_is_built_and_no_link_is_broken(tmp_path: Path) -> None:
    site = str(tmp_path / "site")
    argv = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", site]
    run(argv, cwd=REPOSITORY, env={"NO_MKDOCS_2_WARNING": "1"}, timeout=120).succeeded()
    assert (tmp_path / "site" / "tutorial" / "index.html").exists()
    written = {page: page.read_text() for page in (tmp_path / "site").rglob("index.html")}
    assert len(written) > len(PAGES)
    for page, text in written.items():
        assert 'title="Go to repository"' in text, page
        assert "stylesheets/site.css" in text, page
        assert 'rel="prev"' in text or page == tmp_path / "site" / "index.html", page
        assert 'rel="next"' in text or page.parent.name == "changelog", page


def test_a_cell_of_a_wide_table_says_its_column_where_the_page_is_narrow() -> None:
    wide = ["several_version_tables", "downgrade", "upgrade", "create-migration", "verify", "init"]

    def shown(names: list[str]) -> str:
        rows = (f"| {' | '.join(row)} |" for row in (names, ["--"] * len(names), names))
        html = markdown.markdown("\n".join(rows), extensions=["tables"])
        return on_page_content(html, None, None, None)  # type: ignore[arg-type]  # none is read

    assert shown(wide).count("<td data-label=") == len(wide)
    assert '<td data-label="create-migration">create-migration</td>' in shown(wide)
    assert "data-label" not in shown(wide[:2])
    assert "`" not in shown(["`DB_OPS_SPARE`", "b"])
    assert "<code>DB_<wbr>OPS_<wbr>SPARE</code>" in shown(["`DB_OPS_SPARE`", "b"])
