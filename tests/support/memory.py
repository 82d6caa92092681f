"""Temporary files in memory, where there is room: a disk takes a database twenty times as long."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")
_ROOM = 10 << 30


def keep_temporary_files_in_memory() -> None:
    """Let `tempfile`, and with it pytest, make its files in memory, unless `TMPDIR` says where.

    A container often has only 64 MiB there, and may run no program from there.
    """
    if "TMPDIR" in os.environ or not _MEMORY.is_dir():
        return
    runs_programs = not os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC
    if runs_programs and shutil.disk_usage(_MEMORY).free > _ROOM:
        tempfile.tempdir = str(_MEMORY)
