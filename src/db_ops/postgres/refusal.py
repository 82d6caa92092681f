"""Why a server ends a login, as SQLSTATE.

libpq has it, and writes only the text into its error, in the server's language. It writes the code
instead if told so before the login ends, which takes a connection that is under way: psycopg2 shows
an asynchronous one's handle, and libpq itself is what psycopg2 has loaded already. Source: libpq
documentation, "PQsetErrorVerbosity" and "Asynchronous Connection".
"""

from __future__ import annotations

import ctypes
import re
import select
import time
from collections.abc import Mapping
from contextlib import closing

import psycopg2
from psycopg2 import _psycopg
from psycopg2.extensions import POLL_OK, POLL_READ, make_dsn

_VERBOSITY_SQLSTATE = 3
_CODE = re.compile(r":\s+([0-9][0-9A-Z]{4})$", re.MULTILINE)


def refusals(parameters: Mapping[str, str], timeout: float) -> frozenset[str]:
    """Log in once more; return the SQLSTATE with which each host refuses.

    Empty if one lets us in, if none answers within *timeout* seconds, or if libpq cannot be told.
    """
    try:
        with closing(psycopg2.connect(make_dsn(**parameters), async_=True)) as connection:
            handle = ctypes.c_void_p(connection.pgconn_ptr)
            ctypes.CDLL(_psycopg.__file__).PQsetErrorVerbosity(handle, _VERBOSITY_SQLSTATE)
            _finish(connection, time.monotonic() + timeout)
    except psycopg2.OperationalError as error:
        return frozenset(_CODE.findall(str(error)))
    except AttributeError:
        # A psycopg2 that exports nothing of its libpq.
        pass
    return frozenset()


def _finish(connection: psycopg2.extensions.connection, deadline: float) -> None:
    while (state := connection.poll()) != POLL_OK:
        left = deadline - time.monotonic()
        reads, writes = ([connection], []) if state == POLL_READ else ([], [connection])
        if left <= 0 or not any(select.select(reads, writes, [], left)):
            return
