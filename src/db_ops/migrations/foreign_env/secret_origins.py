"""Where the secrets of a URL stand, so that a URL can be kept without them.

A secret stands in a variable, alone or in a URL, or in a file that env.py was seen to read. Of a
variable the name is kept, of a file the place in it: both are read again, and count only while the
environment and the file are what they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from db_ops.errors import MisuseError
from db_ops.settings import DatabaseUrl

_VARIABLE, _FILE, _QUOTED = "variable", "file", "percent-encoded in file"
# ["variable", its name] or ["file", its path, where the secret begins and ends in it]
Origin = list[str | int]


@dataclass(frozen=True)
class SecretOrigins:
    """Looks for a parameter's value among *variables*, then in *files*, and reads it again."""

    variables: Mapping[str, str]
    files: Iterable[Path] = ()

    def find(self, parameter: str, value: str) -> Origin | None:
        """Return where *value* stands; None if it is not there."""
        for name, text in self.variables.items():
            if value in (text, _in_url(text, parameter)):
                return [_VARIABLE, name]
        spellings = {_FILE: value, _QUOTED: quote(value, safe="")}
        for path in self.files:
            content = _content(path)
            for kind, text in spellings.items():
                start = content.find(text.encode())
                if start >= 0:
                    return [kind, str(path), start, start + len(text.encode())]
        return None

    def read(self, parameter: str, origin: Origin) -> str | None:
        """Return the value of *parameter* that stands at *origin*."""
        kind, name, *place = origin
        if kind == _VARIABLE:
            text = self.variables.get(str(name))
            return None if text is None else _in_url(text, parameter) or text
        start, end = map(int, place)
        found = _content(Path(str(name)))[start:end].decode()
        return unquote(found) if kind == _QUOTED else found


def _in_url(text: str, parameter: str) -> str | None:
    if "://" not in text:
        return None
    try:
        return DatabaseUrl.parse(text).parameters.get(parameter)
    except MisuseError:
        return None


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
