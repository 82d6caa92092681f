"""Ignore patterns of `pyproject.toml`, and the baseline of accepted differences.

The baseline is a file in the project, to be reviewed like code: one entry for each accepted
difference, with what each side has, so that another change of the same object is reported again.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db_ops.errors import InvalidVerifyRules
from db_ops.verification.verdict import Disagreement

BASELINE = "verify-baseline.toml"
_HEAD = """\
# Differences that `verify` accepts, written by `verify --accept`. Review each of them.
# An entry counts only while every side has what it says here.
"""


@dataclass(frozen=True)
class BaselineEntry:
    """An accepted difference: its subject, and the values of each schema."""

    subject: str
    values: Mapping[str, str]

    @classmethod
    def of(cls, disagreement: Disagreement) -> BaselineEntry:
        values = {side: text for side, text in disagreement.values.items() if text is not None}
        return cls(disagreement.subject, values)

    def covers(self, disagreement: Disagreement, *sides: str) -> bool:
        """Tell whether this is the accepted one: each side asked (of *sides*) has what it had."""
        asked = {
            side: text for side, text in disagreement.values.items() if not sides or side in sides
        }
        return self.subject == disagreement.subject and all(
            self.values.get(side) == text for side, text in asked.items()
        )

    @property
    def position(self) -> tuple[str, str]:
        return self.subject, json.dumps(self.values, sort_keys=True)


@dataclass(frozen=True)
class Rules:
    """What is ignored and accepted; `path` is where the baseline is, or would be."""

    path: Path
    ignore: tuple[str, ...] = ()
    accepted: tuple[BaselineEntry, ...] = ()


def read_rules(root: Path, script_location: Path) -> Rules:
    """Read the rules of the project in *root*. Raises `InvalidVerifyRules`.

    `pyproject.toml` is the nearest one upwards; the baseline lies beside `env.py`.
    """
    baseline = script_location / BASELINE
    pyproject = next(
        (path for folder in (root, *root.parents) if (path := folder / "pyproject.toml").is_file()),
        None,
    )
    ignore = _ignored(pyproject) if pyproject else ()
    return Rules(baseline, ignore, _accepted(baseline) if baseline.is_file() else ())


def write_baseline(path: Path, accepted: Iterable[BaselineEntry]) -> None:
    """Write *accepted* to *path*, sorted; the same ones give the same file."""
    entries = {one.position: one for one in accepted}
    blocks = [_HEAD, *(_entry(entries[position]) for position in sorted(entries))]
    path.write_text("\n".join(blocks), encoding="utf-8")


def _ignored(pyproject: Path) -> tuple[str, ...]:
    table: Any = _load(pyproject)
    for name in ("tool", "db_ops", "verify"):
        table = table.get(name, {})
        if not isinstance(table, dict):
            raise InvalidVerifyRules(str(pyproject), f"{name} is not a table")
    unknown = sorted(table.keys() - {"ignore"})
    if unknown:
        raise InvalidVerifyRules(str(pyproject), f"[tool.db_ops.verify] has no {unknown[0]}")
    ignore = table.get("ignore", [])
    if not isinstance(ignore, list) or not all(isinstance(one, str) for one in ignore):
        raise InvalidVerifyRules(str(pyproject), "tool.db_ops.verify.ignore is no list of patterns")
    return tuple(ignore)


def _accepted(baseline: Path) -> tuple[BaselineEntry, ...]:
    entries = _load(baseline).get("accepted", [])
    try:
        return tuple(
            BaselineEntry(entry.pop("subject"), {side: str(text) for side, text in entry.items()})
            for entry in entries
        )
    except (AttributeError, KeyError, TypeError):
        raise InvalidVerifyRules(str(baseline), "[[accepted]] needs a subject") from None


def _load(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InvalidVerifyRules(str(path), str(error)) from None


def _entry(one: BaselineEntry) -> str:
    values = {"subject": one.subject, **dict(sorted(one.values.items()))}
    lines = [f"{name} = {_string(text)}" for name, text in values.items()]
    return "\n".join(("[[accepted]]", *lines, ""))


def _string(text: str) -> str:
    if "\n" not in text:
        return f'"{_escaped(text)}"'
    # A line break after the quotes is not part of the text.
    lines = "\n".join(map(_escaped, text.split("\n")))
    return f'"""\n{lines}"""'


def _escaped(text: str) -> str:
    # JSON's escapes are TOML's too, but for one character.
    return json.dumps(text, ensure_ascii=False)[1:-1].replace("\x7f", "\\u007f")
