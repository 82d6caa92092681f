"""Cancel a session's statement without stopping the other threads meanwhile.

`connection.cancel()` of psycopg2 keeps Python's interpreter lock until the server answers. Where
packets are discarded it never does, and no second signal would be heard. Through ctypes, libpq
waits without that lock. Source: libpq documentation, "Canceling Queries in Progress".
"""

from __future__ import annotations

from psycopg2 import _psycopg
from psycopg2.extensions import connection as Connection

_LENGTH = 256  # what libpq recommends


def cancel_statement(connection: Connection) -> None:
    """Ask the server to end what *connection* runs, if it runs anything."""
    import ctypes

    keeping, leaving = ctypes.PyDLL(_psycopg.__file__), ctypes.CDLL(_psycopg.__file__)
    try:
        # With the lock: nobody may close the connection meanwhile.
        prepare, send, free = keeping.PQgetCancel, leaving.PQcancel, keeping.PQfreeCancel
    except AttributeError:
        # A psycopg2 that exports nothing of its libpq.
        connection.cancel()
        return
    prepare.restype = ctypes.c_void_p
    if not connection.closed:
        request = ctypes.c_void_p(prepare(ctypes.c_void_p(connection.pgconn_ptr)))
        said = ctypes.create_string_buffer(_LENGTH)
        send(request, said, _LENGTH)
        free(request)
