"""What Python compiles, kept: by processes that are ours, where Invoke or nobody would do so.

Invoke forbids it, for the sake of `tasks.py`; but not every installer compiles what it installs,
and compiling SQLAlchemy takes longer than most commands. What was edited just now is compiled
again: Python tells a stale copy by size and whole second, and who edits a model and runs a command
twice within a second would be told of the model before.
"""

import sys
import time
from importlib.machinery import SourceFileLoader

_UNSETTLED = 2.0
_write = SourceFileLoader.set_data


def keep_bytecode() -> None:
    """Let Python write `__pycache__`, unless `-B` or `PYTHONDONTWRITEBYTECODE` forbids it.

    For the whole process, which must be one of ours. May be called again.
    """
    sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)
    SourceFileLoader.set_data = _write_settled  # type: ignore[assignment, method-assign]  # there is no other way to be asked


def _write_settled(loader: SourceFileLoader, path: str, data: bytes, **options: int) -> None:
    # Source: PEP 552, the format of a .pyc file: magic number, flags, then the source's time.
    modified = int.from_bytes(data[8:12], "little")
    if modified < time.time() - _UNSETTLED:
        _write(loader, path, data, **options)
