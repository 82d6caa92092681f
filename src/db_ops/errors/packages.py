"""The packages that this one needs, and those that are missing beside it or too old.

Asked only when something has gone wrong: an installer sees to it that they fit, unless it was told
not to look.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from db_ops.errors.misuse import MisuseError

NAME = "alembic-db-ops"
# A requirement of ours is a name and a lowest version; what has a marker belongs to an extra.
_REQUIREMENT = r"([\w.-]+)>=([\d.]+)\Z"


class PackageUnsuitable(MisuseError):
    """A package that `db_ops` needs is older than it needs, or not there."""

    what = "{package} is {found}; db_ops needs {lowest} or newer"
    then = "python -m pip install '{package}>={lowest}'"
    package: str
    lowest: str
    found: str


def unsuitable_packages() -> Iterator[PackageUnsuitable]:
    """Yield an error for each required package that is not there or older than required."""
    # It imports the parser of mails, for an error that hardly anybody meets.
    from importlib.metadata import PackageNotFoundError, requires, version

    try:
        required = requires(NAME) or ()
    except PackageNotFoundError:
        # Run from a folder in PYTHONPATH.
        return
    for requirement in required:
        matched = re.match(_REQUIREMENT, requirement)
        if matched is None:
            continue
        name, lowest = matched.groups()
        try:
            found = version(name)
        except PackageNotFoundError:
            yield PackageUnsuitable(name, lowest, "not installed")
            continue
        if _numbers(found) < _numbers(lowest):
            yield PackageUnsuitable(name, lowest, found)


def _numbers(text: str) -> tuple[int, ...]:
    """Return the numbers that a version begins with, without zeros at the end."""
    release = re.match(r"[\d.]*", text)
    parts = [int(part) for part in (release[0] if release else "").split(".") if part]
    while parts and not parts[-1]:
        parts.pop()
    return tuple(parts)
