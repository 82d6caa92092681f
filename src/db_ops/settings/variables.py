"""Read the variables that settings come from: the environment and the project's `.env`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from io import StringIO
from pathlib import Path

from db_ops.errors import InvalidSettings

URL = "DATABASE_URL"
TEST_URL = "DB_OPS_TEST_URL"
SCRATCH_URL = "DB_OPS_SCRATCH_URL"
MIGRATION_URL = "DB_OPS_MIGRATION_URL"
# A variable of this name and the suffix holds the path of a file with the value.
FILE_SUFFIX = "_FILE"
# All that are ours; each counts in the environment and in `.env`.
OWN = (
    "DB_OPS_AHEAD_IS_DIFFERENT",
    "DB_OPS_ALEMBIC_INI",
    "DB_OPS_CONNECT_TIMEOUT",
    "DB_OPS_DATABASE_PER_BRANCH",
    "DB_OPS_DEBUG",
    "DB_OPS_ENVIRONMENT",
    "DB_OPS_LOCK_RETRIES",
    "DB_OPS_LOCK_TIMEOUT",
    "DB_OPS_LOG",
    "DB_OPS_MAINTENANCE_DATABASE",
    "DB_OPS_MIGRATION_LOCK_TIMEOUT",
    MIGRATION_URL,
    "DB_OPS_NAME",
    "DB_OPS_RECORDS",
    "DB_OPS_ROLE",
    SCRATCH_URL,
    "DB_OPS_SOFT_RESET",
    "DB_OPS_SPARE",
    "DB_OPS_STATEMENT_TIMEOUT",
    TEST_URL,
    "DB_OPS_UNDO",
    "DB_OPS_UNDO_LIMIT_MB",
    "DB_OPS_WAIT_TIMEOUT",
    "DB_OPS_X",
)
# Those that are not taken as they are.
PARSED = tuple(
    f"DB_OPS_{name}"
    for name in (
        "AHEAD_IS_DIFFERENT",
        "CONNECT_TIMEOUT",
        "DATABASE_PER_BRANCH",
        "ENVIRONMENT",
        "LOCK_RETRIES",
        "LOCK_TIMEOUT",
        "MAINTENANCE_DATABASE",
        "MIGRATION_LOCK_TIMEOUT",
        "RECORDS",
        "ROLE",
        "SOFT_RESET",
        "SPARE",
        "STATEMENT_TIMEOUT",
        "UNDO",
        "UNDO_LIMIT_MB",
        "WAIT_TIMEOUT",
    )
)
# The files for GitHub and GitLab read these, in jobs that run our commands.
_OF_CI = ("DB_OPS_COMMANDS", "DB_OPS_INSTALL")
_FILES = tuple(name + FILE_SUFFIX for name in (TEST_URL, SCRATCH_URL, MIGRATION_URL))
_KNOWN = frozenset((*OWN, *_OF_CI, *_FILES))
_PREFIX = "DB_OPS_"
_LIKE_OURS = r"(?i)DB_?OPS?_?"


def read_variables(folder: Path) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Return the variables of the environment and of the `.env` in *folder*, and what to note.

    The environment wins. Noted are lines of `.env` that say nothing, and names that look like one
    of ours and are none. Raises `InvalidSettings` for a `.env` that cannot be read.
    """
    path = folder / ".env"
    try:
        dotenv, notes = _parsed(path.read_bytes(), str(path))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        dotenv, notes = {}, ()
    except OSError as error:
        raise InvalidSettings({str(path): f"cannot be read: {error.strerror}"}) from None
    return {**dotenv, **os.environ}, (*notes, *_misspelt(os.environ), *_misspelt(dotenv, path))


@lru_cache(maxsize=2)
def _parsed(content: bytes, path: str) -> tuple[Mapping[str, str], tuple[str, ...]]:
    try:
        # An editor may have put a byte order mark before the first name.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidSettings({path: f"line {line} is not UTF-8"}) from None
    if not text.strip():
        return {}, ()
    from dotenv import dotenv_values
    from dotenv.parser import parse_stream

    lines = list(parse_stream(StringIO(text)))
    notes = tuple(
        f"{path}: line {line.original.line} is ignored: it is not NAME=VALUE"
        for line in lines
        if line.error
    )
    # python-dotenv would log those to stderr in words of its own.
    good = StringIO("".join(line.original.string for line in lines if not line.error))
    values = dotenv_values(stream=good)
    return {name: value for name, value in values.items() if value is not None}, notes


def _misspelt(names: Mapping[str, str], path: Path | None = None) -> Iterator[str]:
    where = f"{path}: " if path else ""
    suffixes = [name.removeprefix(_PREFIX) for name in (*OWN, *_FILES)]
    for name in sorted(names):
        if name in _KNOWN or not re.match(_LIKE_OURS, name):
            continue
        # Another program's variable may begin nearly as ours do.
        is_ours = name.startswith(_PREFIX)
        rest = re.sub(_LIKE_OURS, "", name, count=1).upper()
        from difflib import get_close_matches

        nearest = get_close_matches(rest, suffixes, n=1, cutoff=0.6 if is_ours else 0.8)
        if nearest:
            yield f"{where}{name} is not a setting; did you mean {_PREFIX}{nearest[0]}?"
        elif is_ours:
            yield f"{where}{name} is not a setting; there are {', '.join(OWN)}"
