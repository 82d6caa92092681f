"""Annotations for GitHub Actions and GitLab CI.

GitHub reads workflow commands from the log of a step, and a summary from a file. GitLab reads a
Code Quality report from a file that the job declares as an artifact. Sources: GitHub documentation,
"Workflow commands"; actions/toolkit `core/src/command.ts` for the escapes; GitLab documentation,
"Code Quality", "Implement a custom tool".
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from db_ops.cli.render.release import finding_text
from db_ops.cli.render.result import result_lines
from db_ops.cli.terminal import one_line, options, replace_unencodable, write
from db_ops.errors import DbOpsError
from db_ops.errors.invocation import as_typed
from db_ops.results import Downgraded, Migrated, Result, Verified

REPORT = "gl-code-quality-report.json"
# GitHub shows ten of each kind for a step.
_SHOWN = 10


@dataclass(frozen=True)
class Annotation:
    """One thing that is wrong, and where in the repository, if that is known."""

    text: str
    remedy: str = ""
    path: str | None = None
    line: int | None = None


def annotate(command: str, done: Result | DbOpsError) -> None:
    """Tell the CI system that this runs on, if it is one of those, what *command* found wrong.

    What it cannot be told is no failure of the command.
    """
    with suppress(OSError):
        if os.environ.get("GITHUB_ACTIONS") == "true":
            if options.get().log == "text":
                _write_workflow_commands(command, list(_annotations(done)))
            _add_to_summary(command, done)
        if os.environ.get("GITLAB_CI") == "true" and isinstance(done, DbOpsError | Verified):
            _write_report(command, list(_annotations(done)))


def _annotations(done: Result | DbOpsError) -> Iterator[Annotation]:
    if isinstance(done, DbOpsError):
        path, line = getattr(done, "path", None), getattr(done, "line", None)
        text = "\n".join((done.message, *done.notes))
        yield Annotation(text, done.hint, _in_repository(path or None), line)
    elif isinstance(done, Verified):
        for difference in done.differences:
            yield Annotation(difference.description, as_typed(difference.remedy))
        for finding in done.release.findings if done.release else ():
            path = _in_repository(finding.revision.path if finding.revision else None)
            yield Annotation(finding_text(finding), finding.instead, path)
    elif done.exit_code:
        yield Annotation("\n".join(result_lines(done)))


def _write_workflow_commands(command: str, annotations: list[Annotation]) -> None:
    shown = annotations if len(annotations) <= _SHOWN else annotations[: _SHOWN - 1]
    for one in shown:
        text = f"{one.text}\nnext: {one.remedy}" if one.remedy else one.text
        _write_error(command, text, one)
    if len(shown) < len(annotations):
        _write_error(
            command, f"{len(annotations) - len(shown)} more, see the log of the step", None
        )


def _write_error(command: str, text: str, annotation: Annotation | None) -> None:
    properties = {"title": f"db-ops {command}"}
    if annotation and annotation.path:
        properties = {"file": annotation.path, "line": str(annotation.line or 1), **properties}
    said = ",".join(f"{key}={_escaped(value, ':,')}" for key, value in properties.items())
    # The runner reads both streams; stdout may be somebody's document.
    write(replace_unencodable(f"::error {said}::{_escaped(text)}", sys.stderr), to_stderr=True)


def _escaped(text: str, more: str = "") -> str:
    return "".join(
        f"%{ord(character):02X}" if character in f"%\r\n{more}" else character
        for character in text
        if character.isprintable() or character in "\r\n"
    )


def _add_to_summary(command: str, done: Result | DbOpsError) -> None:
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path or not isinstance(done, DbOpsError | Verified | Migrated | Downgraded):
        return
    if isinstance(done, DbOpsError):
        lines = [
            f"error: {one_line(done.message)}",
            *(f"  {one_line(note)}" for note in done.notes),
            f"hint: {one_line(done.hint)}",
        ]
    else:
        lines = result_lines(done)
    text = "\n".join(lines)
    # Longer than any in the text, which ends no fence then.
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 3)
    with Path(path).open("a", encoding="utf-8", errors="backslashreplace") as summary:
        summary.write(f"### `db-ops {command}`\n\n{fence}text\n{text}\n{fence}\n\n")


def _write_report(command: str, annotations: list[Annotation]) -> None:
    """Write the report of a job; what another command of it has found stays."""
    path = Path(os.environ.get("CI_PROJECT_DIR", ".")) / REPORT
    check = f"db-ops {command}"
    entries = [
        {
            "description": f"{one.text}; next: {one.remedy}" if one.remedy else one.text,
            "check_name": check,
            "fingerprint": sha256(f"{check}\0{one.text}".encode(errors="replace")).hexdigest(),
            "severity": "major",
            "location": {"path": one.path or "alembic.ini", "lines": {"begin": one.line or 1}},
        }
        for one in annotations
    ]
    others = [entry for entry in _entries(path) if entry.get("check_name") != check]
    path.write_text(json.dumps([*others, *entries], indent=1) + "\n")


def _entries(path: Path) -> list[dict[str, object]]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _in_repository(path: str | None) -> str | None:
    """Return *path* as the CI system knows it: from the root of the repository."""
    root = os.environ.get("GITHUB_WORKSPACE") or os.environ.get("CI_PROJECT_DIR")
    if path is None or root is None:
        return path
    absolute = Path(path).absolute()
    return str(absolute.relative_to(root)) if absolute.is_relative_to(root) else path
