"""Why a login fails: the server rejects it, with an SQLSTATE, or libpq gives up.

libpq has the SQLSTATE, and writes only the text into its error, in the server's language. It writes
the code instead if told so before the login ends, which takes a connection that is under way:
psycopg2 shows an asynchronous one's handle, and libpq itself is what psycopg2 has loaded already.
What libpq says itself has no code, and is in English in psycopg2's own build. Source: libpq
documentation, "PQsetErrorVerbosity" and "Asynchronous Connection".
"""

from __future__ import annotations

import ctypes
import re
import select
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

import psycopg2
from psycopg2 import _psycopg
from psycopg2.extensions import POLL_OK, POLL_READ, libpq_version, make_dsn

from db_ops.errors import (
    ClientRefusedConnection,
    ConnectionRejected,
    InvalidConnectionParameter,
    PasswordMissing,
)
from db_ops.settings import DatabaseUrl

_VERBOSITY_SQLSTATE = 3
_CODE = re.compile(r":\s+([0-9][0-9A-Z]{4})$")
_ATTEMPT = re.compile(r"^connection to server (?:at|on socket) \".*? failed: ", re.MULTILINE)
_CONTACTS = ("connection to server", "could not translate host name")
# libpq's question after a host that cannot be reached.
_NOBODY_THERE = "\tIs the server running"
_UNREADABLE = "for connection option"
_FATAL = "FATAL:"
_NO_PASSWORD = "no password supplied"
_SINCE_14 = 140_000


@dataclass(frozen=True)
class LoginFailure:
    """Why one attempt failed: its message, and the SQLSTATE if the server sent one."""

    said: str
    code: str | None = None


def retry_login(parameters: Mapping[str, str], timeout: float) -> tuple[LoginFailure, ...] | None:
    """Log in once more; return why each attempt of libpq's fails, most telling first.

    None if one lets us in; empty if none answers within *timeout* seconds, or if libpq cannot be
    told.
    """
    try:
        with closing(psycopg2.connect(make_dsn(**parameters), async_=True)) as connection:
            handle = ctypes.c_void_p(connection.pgconn_ptr)
            ctypes.CDLL(_psycopg.__file__).PQsetErrorVerbosity(handle, _VERBOSITY_SQLSTATE)
            return None if _is_let_in(connection, time.monotonic() + timeout) else ()
    except psycopg2.OperationalError as error:
        return login_failures(error)
    except AttributeError:
        # A psycopg2 that exports nothing of its libpq.
        pass
    return ()


def login_failures(error: psycopg2.Error) -> tuple[LoginFailure, ...]:
    """Return what *error* says of each attempt: to each host, with TLS and without.

    The hosts that nobody answers at come last: another one's refusal tells more.
    """
    text = str(error).strip()
    begins = [match.start() for match in _ATTEMPT.finditer(text)] or [0]
    parts = [text[a:b].strip() for a, b in zip(begins, [*begins[1:], len(text)], strict=True)]
    parts.sort(key=lambda part: _NOBODY_THERE in part)
    return tuple(dict.fromkeys(map(_login_failure, parts)))


def check_parameters(error: psycopg2.OperationalError, url: DatabaseUrl) -> None:
    """Raise `InvalidConnectionParameter` if libpq has not even tried to contact a server."""
    text = str(error).strip()
    contacts = libpq_version() < _SINCE_14 or any(one in text for one in _CONTACTS)
    # Some values it reads only when it has a server's address.
    if text and (not contacts or _UNREADABLE in text):
        text = _ATTEMPT.sub("", text, count=1)
        raise InvalidConnectionParameter(text.splitlines()[0], url.source)


def rejection(
    url: DatabaseUrl, location: str, first: LoginFailure, again: LoginFailure | None
) -> ConnectionRejected | ClientRefusedConnection:
    """Return the typed error for a login that failed as *first*, and once more as *again*."""
    code = again.code if again else None
    if code or (again is None and first.said.startswith(_FATAL)):
        # The severity before the text says nothing new, and is in the server's language.
        reason = first.said.partition(":")[2].strip()
        return ConnectionRejected(location, reason, url.source, code)
    if _NO_PASSWORD in first.said:
        return PasswordMissing(location, first.said, url.source, None, url.user)
    return ClientRefusedConnection(location, first.said, url.source)


def _login_failure(part: str) -> LoginFailure:
    line = _ATTEMPT.sub("", part, count=1).partition("\n")[0].strip()
    code = _CODE.search(line)
    return LoginFailure(line, code[1] if code else None)


def _is_let_in(connection: psycopg2.extensions.connection, deadline: float) -> bool:
    while (state := connection.poll()) != POLL_OK:
        left = deadline - time.monotonic()
        reads, writes = ([connection], []) if state == POLL_READ else ([], [connection])
        if left <= 0 or not any(select.select(reads, writes, [], left)):
            return False
    return True
