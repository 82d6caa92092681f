"""The first line of a driver's error."""

from __future__ import annotations

import psycopg2


def first_line(error: object) -> str:
    """Return the first line of an error's text, without libpq's and the server's prefixes."""
    text = error.diag.message_primary if isinstance(error, psycopg2.Error) else None
    lines = (text or str(error)).strip().splitlines()
    # libpq's preamble repeats host and port, and the server's severity says nothing new.
    return lines[0].rpartition("FATAL:")[2].strip() if lines else type(error).__name__
