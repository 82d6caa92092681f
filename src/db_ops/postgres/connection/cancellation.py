"""Cancel a session's statement without stopping the other threads meanwhile.

`connection.cancel()` of psycopg2 keeps Python's interpreter lock until the server answers. Where
packets are discarded it never does, and no second signal would be heard: a child process waits.
"""

from __future__ import annotations

import os

from psycopg2.extensions import connection as Connection

_DESCRIPTORS = 4096


def cancel_statement(connection: Connection) -> None:
    """Ask the server to end what *connection* runs, if it runs anything; forks.

    Source: libpq documentation, "Canceling Queries in Progress": it may be done in a signal
    handler, so in the child of a process with threads, too.
    """
    child = os.fork()
    if child == 0:
        try:
            # A child that waits must not keep the pipes of ours open when we have left.
            os.closerange(0, _DESCRIPTORS)
            connection.cancel()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
