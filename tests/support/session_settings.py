"""What a session of ours sets for a revision that a session of plain `alembic` does not."""

from __future__ import annotations

# How long it waits, how it is known, and that nobody waits for the disk during a build.
OURS = {
    "application_name",
    "client_connection_check_interval",
    "lock_timeout",
    "statement_timeout",
    "synchronous_commit",
    "tcp_keepalives_count",
    "tcp_keepalives_idle",
    "tcp_keepalives_interval",
    "tcp_user_timeout",
}
