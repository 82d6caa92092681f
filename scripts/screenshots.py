"""Pictures of the terminal for the documentation, taken of the real program on a real terminal.

`inv screenshots` writes them into `docs/images`; each is light or dark as its reader's page is.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape

import pyte

from tests.support.doors import BIN, run
from tests.support.terminal import Terminal, terminal

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
# As wide as a telephone can show in letters of a readable size.
COLUMNS, LINES = 60, 24
_WIDTH, _HEIGHT, _MARGIN = 7.8, 17, 12
_STYLE = """
    svg { --page: #fff; --text: #1f2328; --green: #116329; --red: #cf222e; --yellow: #7d4e00;
      --edge: #d1d9e0; }
    @media (prefers-color-scheme: dark) { svg { --page: #0d1117; --text: #e6edf3;
      --green: #3fb950; --red: #ff7b72; --yellow: #d29922; --edge: #3d444d; } }
    text { font: 13px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
      fill: var(--text); white-space: pre; }
    .green { fill: var(--green); } .red { fill: var(--red); } .brown { fill: var(--yellow); }
    .bold { font-weight: 700; }
"""


def main() -> None:
    """Take all pictures."""
    with checkout() as root:
        with scene(root, "db-ops init", "db-ops init") as screen:
            screen.end()
            save(screen, "terminal-init")
        for command in ("ALTER TABLE tools ADD owner text", "DROP INDEX ix_run_events_tool_id"):
            run([str(BIN / "python"), "-c", _EXECUTE, command], cwd=root, env={})
        with scene(root, "db-ops verify") as screen:
            screen.end()
            save(screen, "terminal-verify")


_EXECUTE = (
    "import subprocess, sys, psycopg2;"
    "url = subprocess.run(['db-ops', 'url', '--with-password'], capture_output=True, text=True);"
    "c = psycopg2.connect(url.stdout.strip()); c.autocommit = True; c.cursor().execute(sys.argv[1])"
)


@contextmanager
def checkout() -> Iterator[Path]:
    """Give a copy of the repository with a server of its own, for a `with` block."""
    folder = Path(tempfile.mkdtemp(prefix="db_ops-pictures-"))
    folder.chmod(0o755)
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True)
    for name in listed.stdout.decode().splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    try:
        yield folder
    finally:
        run([sys.executable, "-m", "db_ops", "stop"], cwd=folder, env={})
        shutil.rmtree(folder)


@contextmanager
def scene(root: Path, *commands: str) -> Iterator[Terminal]:
    """Run *commands* one after the other on one terminal, as typed."""
    typed = "; ".join(f"printf '$ %s\\n' {shlex.quote(one)}; {one}" for one in commands)
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    argv = ["bash", "-c", typed]
    with terminal(argv, cwd=root, env={"PATH": path}, columns=COLUMNS, lines=LINES) as screen:
        yield screen


def save(screen: Terminal, name: str) -> None:
    """Write what the screen shows as `docs/images/NAME.svg`."""
    height = len(screen.lines) * _HEIGHT + 2 * _MARGIN
    width = COLUMNS * _WIDTH + 2 * _MARGIN
    lines = [_line(screen.screen, y) for y in range(len(screen.lines))]
    (IMAGES / f"{name}.svg").write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}"'
        f' viewBox="0 0 {width:.0f} {height}" role="img">\n'
        f"<title>{escape(screen.lines[0])}</title>\n<style>{_STYLE}</style>\n"
        f'<rect width="{width:.0f}" height="{height}" rx="6" fill="var(--page)"'
        ' stroke="var(--edge)"/>\n' + "\n".join(filter(None, lines)) + "\n</svg>\n"
    )


def _line(screen: pyte.Screen, y: int) -> str:
    cells = [screen.buffer[y][x] for x in range(screen.columns)]
    parts, x = [], 0
    for (colour, bold), group in groupby(cells, key=lambda cell: (cell.fg, cell.bold)):
        text = "".join(cell.data for cell in group)
        if text.strip():
            kinds = " ".join(filter(None, (colour.replace("default", ""), "bold" if bold else "")))
            style = f' class="{kinds}"' if kinds else ""
            left = _MARGIN + x * _WIDTH
            parts.append(f'<tspan x="{left:.1f}"{style}>{escape(text.rstrip())}</tspan>')
        x += len(text)
    base = _MARGIN + (y + 1) * _HEIGHT - 4
    return f'<text y="{base}" xml:space="preserve">{"".join(parts)}</text>' if parts else ""


if __name__ == "__main__":
    main()
