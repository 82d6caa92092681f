"""Words for what results hold."""

from __future__ import annotations

from datetime import UTC, datetime

Line = tuple[str, str]


def at(revisions: tuple[str, ...]) -> str:
    return ", ".join(revisions) or "base"


def megabytes(number: int) -> str:
    return f"{number / 1_000_000:.1f} MB"


def age(moment: str) -> str:
    passed = max((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds(), 0)
    for name, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if passed >= length:
            count = int(passed // length)
            return f"{count} {name}{'' if count == 1 else 's'} ago"
    return "just now"
