"""Classify a statement by its text."""

from __future__ import annotations

import re

_COMMENTS = re.compile(r"\A(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/)+", re.DOTALL)
_SESSION = re.compile(
    r"(?:BEGIN|START|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|PREPARE\s+TRANSACTION"
    r"|SET|RESET|SHOW|LISTEN|NOTIFY|DISCARD)\b",
    re.IGNORECASE,
)
# Those that run in no transaction, so that the server takes them as a statement of their own alone:
# never inside of a function, a DO block or a string of several.
_SERVER_WIDE = re.compile(
    r"(?:CREATE|DROP)\s+(?:DATABASE|TABLESPACE)\b|ALTER\s+SYSTEM\b"
    r"|(?:CREATE|ALTER|DROP)\s+SUBSCRIPTION\b"
    r'|ALTER\s+DATABASE\s+(?:"(?:[^"]|"")*"|\S+)\s+SET\s+TABLESPACE\b',
    re.IGNORECASE,
)
_CHANGES_ROWS = re.compile(r"(?:UPDATE|DELETE|MERGE|WITH|DO|CALL|SELECT)\b", re.IGNORECASE)
END_OF_DATA = "\\."
_COPIES_IN = re.compile(r"COPY\b.*\bFROM\s+STDIN\b", re.IGNORECASE | re.DOTALL)
_WRITES_ROWS = re.compile(r"(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)\b", re.IGNORECASE)
_READS = re.compile(r"(?:SELECT|WITH|TABLE|VALUES|DECLARE|FETCH)\b", re.IGNORECASE)


def without_comments(statement: str) -> str:
    """Return *statement* without the comments and spaces that it begins with."""
    return _COMMENTS.sub("", statement)


def is_about_session(statement: str) -> bool:
    """Tell whether *statement* controls the session or its transactions, and touches no table."""
    return _SESSION.match(without_comments(statement)) is not None


def is_server_wide(statement: str) -> bool:
    """Tell whether *statement* runs in no transaction and changes what other databases share."""
    return _SERVER_WIDE.match(without_comments(statement)) is not None


def may_write(statement: str) -> bool:
    """Tell whether *statement* is one that exists to write, not to read or to set the session."""
    return not (reads_rows(statement) or is_about_session(statement))


def writes_version_table(statement: str, version_table: str) -> bool:
    """Tell whether *statement* writes into the version table."""
    begins = _WRITES_ROWS.match(without_comments(statement))
    return begins is not None and version_table in statement[: begins.end() + 200]


def may_change_rows(statement: str) -> bool:
    return _CHANGES_ROWS.match(without_comments(statement)) is not None


def reads_rows(statement: str) -> bool:
    return _READS.match(without_comments(statement)) is not None


def is_show(statement: str) -> bool:
    return without_comments(statement)[:5].upper() == "SHOW "


def is_rollback(statement: str) -> bool:
    return without_comments(statement)[:8].upper() == "ROLLBACK"


def is_copy_from_stdin(statement: str) -> bool:
    return _COPIES_IN.match(without_comments(statement)) is not None


def with_data(statement: str, data: str | bytes) -> str:
    """Return a COPY FROM STDIN followed by its rows, as psql reads them."""
    rows = data if isinstance(data, str) else data.decode(errors="replace")
    end = "" if not rows or rows.endswith("\n") else "\n"
    return f"{statement.rstrip(';')};\n{rows}{end}{END_OF_DATA}"


def is_truncate(statement: str) -> bool:
    return without_comments(statement)[:8].upper() == "TRUNCATE"
