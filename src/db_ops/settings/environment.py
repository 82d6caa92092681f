"""Variables of the process environment and of the project's `.env`, and their digests."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

# A shell and a terminal set these, and no service reads its database from them.
_OF_NO_INTEREST = frozenset(
    ("_", "COLUMNS", "LINES", "OLDPWD", "PWD", "SHLVL", "TERM", "WINDOWID", "INVOCATION_ID")
)
_OF_THE_CALLER = re.compile("(PYTEST|SSH|TERM|XDG|TMUX)_")
_SECRET = re.compile("PASS|SECRET|TOKEN|KEY|CREDENTIAL|AUTH", re.I)


def environment_digest(root: Path) -> str:
    """Return what is equal where the environment, and the `.env` in *root*, are.

    It tells nothing of what is in them.
    """
    state = blake2b(digest_size=16, person=b"db_ops-environ")
    for name, value in sorted(os.environ.items()):
        if name not in _OF_NO_INTEREST:
            state.update(f"{len(name)}={len(value)}={name}{value}".encode(errors="surrogateescape"))
    with suppress(OSError):
        state.update((root / ".env").read_bytes())
    return state.hexdigest()


@contextmanager
def recorded_variables(names: set[str]) -> Iterator[None]:
    """Add to *names* the variables that are asked for in a `with` block, set or not.

    `os.environ` is the process's: no other thread may run a command meanwhile.
    """
    _recorders.append(names)
    plain = type(os.environ)
    os.environ.__class__ = _RecordedEnvironment
    try:
        yield
    finally:
        os.environ.__class__ = plain
        _recorders.pop()


class _RecordedEnvironment(os._Environ[str]):
    def __getitem__(self, key: str) -> str:
        # `subprocess` asks for b"PATH" too, in vain.
        if isinstance(key, str):
            for names in _recorders:
                names.add(key)
        return super().__getitem__(key)


_recorders: list[set[str]] = []


def variables() -> Mapping[str, str]:
    """Return a copy of the environment; that is no question for any variable."""
    recorders, _recorders[:] = tuple(_recorders), ()
    try:
        return dict(os.environ)
    finally:
        _recorders[:] = recorders


def set_variables(given: Iterable[tuple[str, str]]) -> None:
    """Set variables of this process, for what the project reads of its environment."""
    os.environ.update(given)


def variable_digest(name: str, among: Mapping[str, str]) -> str | None:
    """Return what tells the value of a variable from others; empty if it is not set.

    None for what the caller sets anew each time, and for secrets: a digest may be told to others.
    """
    value = among.get(name)
    if name in _OF_NO_INTEREST or _OF_THE_CALLER.match(name) or _SECRET.search(name):
        return None
    if value is None:
        return ""
    if "://" in value:
        return None
    return blake2b(value.encode(errors="surrogateescape"), digest_size=16).hexdigest()
