"""Whether env.py calls `db_ops.run_migrations`, and how: read from its source, and kept."""

from __future__ import annotations

import json
from binascii import crc32
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path

from db_ops.frozen_data import FrozenData, field
from db_ops.migrations.cache_files import short_name, write_atomically

_FORMAT = 2
# What an env.py that runs under the plain command has given, as schema and name: it must not be run
# a second time within itself to learn that.
running_with: ContextVar[tuple[str | None, str] | None] = ContextVar("running_with", default=None)


class EnvSource(FrozenData):
    """`is_ours` if env.py names `run_migrations` of `db_ops`, in whatever way it imports it.

    `options` are what it gives there for the version table; None if only a run of env.py can tell.
    """

    is_ours: bool
    options: Mapping[str, str | None] | None = field(default_factory=dict)


def read_env_source(env_py: Path, cache: Path | None) -> EnvSource:
    """Read *env_py*. What an earlier command read of the same text is kept in the folder *cache*.

    One that is not Python is ours if it has the name of our module.
    """
    source = env_py.read_bytes()
    if b"db_ops" not in source:
        return EnvSource(False)
    kept = cache and cache / f"env-{short_name(str(env_py))}.json"
    # Not the text itself, which may hold a password.
    text = [len(source), crc32(source)]
    if kept:
        with suppress(OSError, ValueError, TypeError):
            form, read, *found = json.loads(kept.read_bytes())
            if (form, read) == (_FORMAT, text):
                return EnvSource(*found)
    # Python's parser is a twentieth of a command that finds nothing to do.
    from db_ops.migrations.env.env_parser import parse_env_source

    parsed = parse_env_source(source)
    if kept:
        with suppress(OSError):
            content = json.dumps((_FORMAT, text, parsed.is_ours, parsed.options))
            write_atomically(kept, content.encode())
    return parsed
