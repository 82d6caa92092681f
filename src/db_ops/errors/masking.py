"""Mask passwords in text from other programs: errors, source lines, SQL."""

from __future__ import annotations

import re

# Up to the last @: a password that is not percent-encoded may hold one itself.
_CREDENTIALS = r"://.*@"
# Python's own words for a percent sign in an ini file that is not doubled: the URL follows.
_INTERPOLATED = r"(?s)(followed by '%' or '\(', found: ).*"
_NAMED = (
    r"""(?i)(\b\w*(?:password|passwd|pwd|secret|token)\b["']?(?:\s*[=:]\s*|\s+))"""
    r"""((?:SecretStr\()?)("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.|'')*'|[^\s,;)}\]'"]+)"""
)
_NOT_SECRET = r"(?:[\"']?\*+[\"']?|None|True|False|str|Secret\w*|[\w.]+[\[(].*)\Z"


def mask_credentials(text: str) -> str:
    """Return *text* with `***` in the place of passwords, as far as they can be told."""
    text = re.sub(_INTERPOLATED, r"\1***", re.sub(_CREDENTIALS, "://***@", text))
    return re.sub(_NAMED, _masked, text)


def _masked(found: re.Match[str]) -> str:
    before, wrapper, value = found.groups()
    assigned = before.rstrip()[-1] in "=:"
    if re.match(_NOT_SECRET, value) or (not assigned and value[0] not in "'\""):
        return found[0]
    quote = value[0] if value[0] in "'\"" else ""
    return f"{before}{wrapper}{quote}***{quote}"
