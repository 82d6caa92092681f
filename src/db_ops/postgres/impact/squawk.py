"""The rules of squawk, a linter for PostgreSQL migrations.

What was measured is left to the measurement; squawk adds what no scratch database shows, such as
types that will be regretted. The project's `.squawk.toml` has its say. Source: https://squawkhq.com
"""

from __future__ import annotations

import json
import subprocess
import sysconfig
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from db_ops.errors import UsageError
from db_ops.frozen_data import replace
from db_ops.results import MeasuredRevision, MeasuredStatement, UnsafePattern

_MEASURED = frozenset(
    (
        "adding-field-with-default",
        "adding-foreign-key-constraint",
        "adding-not-nullable-field",
        "adding-required-field",
        "ban-drop-column",
        "ban-drop-table",
        "changing-column-type",
        "constraint-missing-not-valid",
        "disallowed-unique-constraint",
        "renaming-column",
        "renaming-table",
        "require-concurrent-index-creation",
        "require-concurrent-index-deletion",
        "require-concurrent-reindex",
    )
)
# The runner gives each revision its transaction and its timeouts.
_SEEN_TO = frozenset(
    (
        "ban-concurrent-index-creation-in-transaction",
        "ban-uncommitted-transaction",
        "prefer-robust-stmts",
        "require-lock-timeout",
        "require-statement-timeout",
        "require-timeout-settings",
        "transaction-nesting",
    )
)
_LEFT_OUT = _MEASURED | _SEEN_TO | {"syntax-error"}
_SHOWN = 60


def require_squawk() -> None:
    """Raise `UsageError` unless squawk is installed in this Python's own environment."""
    if not _program().exists():
        raise UsageError(
            "squawk is asked for in pyproject.toml, and not installed",
            "pip install 'squawk-cli>=2', or take squawk out of [tool.db_ops]",
        )


def lint(revision: MeasuredRevision, major: int, root: Path) -> MeasuredRevision:
    """Return *revision* with what squawk says of its statements.

    *root* is the folder that squawk looks for its settings from, *major* the server's version.
    """
    if not revision.statements:
        return revision
    texts = [f"{one.sql.strip().rstrip(';')};\n" for one in revision.statements]
    done = subprocess.run(
        [_program(), "--reporter=json", f"--pg-version={major}", "--assume-in-transaction"],
        cwd=root,
        input="".join(texts),
        capture_output=True,
        text=True,
        check=False,
    )
    begins = [0, *accumulate(text.count("\n") for text in texts)]
    found: dict[int, list[UnsafePattern]] = {}
    for one in _findings(done.stdout):
        number = bisect_right(begins, one["line"]) - 1
        found.setdefault(number, []).append(_pattern(one, revision.statements[number]))
    return replace(
        revision,
        statements=tuple(
            replace(statement, unsafe=(*statement.unsafe, *found.get(number, ())))
            for number, statement in enumerate(revision.statements)
        ),
    )


def _program() -> Path:
    return Path(sysconfig.get_path("scripts")) / "squawk"


def _findings(printed: str) -> Sequence[dict[str, Any]]:
    try:
        found = json.loads(printed)
    except ValueError:
        # It says on stderr what is wrong with its settings, and knows nothing of the statements.
        return ()
    return list(_distinct(one for one in found if one["rule_name"] not in _LEFT_OUT))


def _distinct(findings: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield one finding of a rule for each line."""
    seen = set()
    for one in findings:
        key = one["line"], one["rule_name"]
        if key not in seen:
            seen.add(key)
            yield one


def _pattern(finding: dict[str, Any], statement: MeasuredStatement) -> UnsafePattern:
    rule = finding["rule_name"]
    sql = " ".join(statement.sql.split())
    return UnsafePattern(
        f"squawk {rule}",
        sql if len(sql) <= _SHOWN else f"{sql[:_SHOWN]}...",
        finding["message"].rstrip("."),
        (finding["help"] or f"https://squawkhq.com/docs/{rule}").rstrip("."),
    )
