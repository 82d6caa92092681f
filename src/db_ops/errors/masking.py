"""Keep passwords out of what somebody else's code has said."""

from __future__ import annotations

import re

# Up to the last @: a password that is not percent-encoded may hold one itself.
_CREDENTIALS = re.compile(r"://.*@")
_SECRETS = re.compile(
    r"""((?:password|passwd|pwd|secret|token)["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s&,)]+)""", re.I
)
# Python's own words for a percent sign in an ini file that is not doubled: the URL follows.
_INTERPOLATED = re.compile(r"(followed by '%' or '\(', found: ).*", re.S)


def mask_credentials(text: str) -> str:
    """Return *text* without the credentials of URLs and the values of passwords in it."""
    text = _INTERPOLATED.sub(r"\1***", _CREDENTIALS.sub("://***@", text))
    return _SECRETS.sub(r"\1***", text)
