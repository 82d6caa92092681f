"""Forward the warnings that libpq writes to standard error while it connects.

Before psycopg2 is told of a connection, a server's warnings (a collation version that does not
match) and libpq's own (a password file that others may read) go to file descriptor 2. Source: libpq
documentation, "Notice Processing".
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_ERRORS = 2
_LONGEST = 1 << 16
# Severity and text as libpq writes them, in the server's language, and its own warning.
_MESSAGE = r"\w+:  \S|WARNING: password file "
_lock = threading.Lock()


@contextmanager
def forward_notices(tell: Callable[[str], None]) -> Iterator[None]:
    """Give to *tell*, after a `with` block, each warning that libpq has written during it.

    What others have written meanwhile stays where they wrote it.
    """
    with _lock:
        try:
            original = os.dup(_ERRORS)
        except OSError:
            # Standard error is closed, and nobody sees any of it.
            original = None
        if original is None:
            yield
            return
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        os.dup2(writer, _ERRORS)
        os.close(writer)
        try:
            yield
        finally:
            os.dup2(original, _ERRORS)
            os.close(original)
            written = b""
            with suppress(BlockingIOError):
                written = os.read(reader, _LONGEST)
            os.close(reader)
            notices, rest = _sorted(written.decode(errors="replace"))
            if rest:
                with suppress(OSError):
                    os.write(_ERRORS, rest.encode())
    for notice in notices:
        tell(notice)


def _sorted(text: str) -> tuple[list[str], str]:
    """Return the warnings, each in one line with its details, and what is none of libpq's."""
    notices: list[str] = []
    rest = ""
    for line in text.splitlines(keepends=True):
        if not re.match(_MESSAGE, line):
            rest += line
        elif notices and not line.partition(":")[0].startswith(("WARN", "NOTICE")):
            # Its DETAIL and HINT.
            notices[-1] += f"; {line.strip()}"
        else:
            notices.append(line.strip())
    return notices, rest
