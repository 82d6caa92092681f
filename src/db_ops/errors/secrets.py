"""Passwords taken out of what others wrote: their errors, their lines, their SQL."""

from __future__ import annotations

import re

# Up to the last @ before a space: a password may hold one.
_IN_URL = re.compile(r"(://[^\s:/@]*):[^\s'\"]*@")
_NAMED = re.compile(
    r"""(\b\w*(?:password|passwd|pwd|secret|token)\b["']?(?:\s*[=:]\s*|\s+))"""
    r"""((?:SecretStr\()?)("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.|'')*'|[^\s,;)}\]'"]+)""",
    re.IGNORECASE,
)
_NOT_SECRET = re.compile(r"(?:[\"']?\*+[\"']?|None|True|False|str|Secret\w*|[\w.]+[\[(].*)\Z")


def mask(text: str) -> str:
    """Return *text* with `***` in the place of passwords, as far as they can be told."""
    return _NAMED.sub(_masked, _IN_URL.sub(r"\1:***@", text))


def _masked(found: re.Match[str]) -> str:
    before, wrapper, value = found.groups()
    if _NOT_SECRET.match(value) or (before.endswith(" ") and value[0] not in "'\""):
        return found[0]
    quote = value[0] if value[0] in "'\"" else ""
    return f"{before}{wrapper}{quote}***{quote}"
