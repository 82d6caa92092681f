"""How long a connection lasts on which nothing arrives any more.

Where packets are discarded, neither side is told. Who waits for an answer would do so for two
hours, and who has sent something for a quarter of an hour. Sources: PostgreSQL documentation,
"Database Connection Control Functions", "tcp_user_timeout"; Linux, tcp(7).
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from psycopg2.extensions import libpq_version

# Seconds without a packet, then between questions, of which so many go without an answer.
_IDLE, _INTERVAL, _COUNT = 10, 5, 3
_PATIENCE = (_IDLE + _INTERVAL * _COUNT) * 1000  # milliseconds
_LIBPQ = {
    "keepalives_idle": str(_IDLE),
    "keepalives_interval": str(_INTERVAL),
    "keepalives_count": str(_COUNT),
}
_USER_TIMEOUT = "tcp_user_timeout"
_USER_TIMEOUT_SINCE = 120_000
# What makes the server's side do the same.
SETTINGS = (
    f"SET tcp_keepalives_idle = {_IDLE}",
    f"SET tcp_keepalives_interval = {_INTERVAL}",
    f"SET tcp_keepalives_count = {_COUNT}",
    f"SET tcp_user_timeout = {_PATIENCE}",
)
_SOCKET = (
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", _IDLE),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", _INTERVAL),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", _COUNT),
    (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", _PATIENCE),
)


def with_keepalives(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return libpq's *parameters* with ours, unless they name one of these themselves."""
    ours = dict(_LIBPQ)
    if libpq_version() >= _USER_TIMEOUT_SINCE:
        ours[_USER_TIMEOUT] = str(_PATIENCE)
    if any(name in parameters for name in ("keepalives", *_LIBPQ, _USER_TIMEOUT)):
        return dict(parameters)
    return {**parameters, **ours}


def keep_alive(driver: Any) -> None:
    """Do the same to the connection of another *driver*, if it shows its socket."""
    transport = getattr(driver, "_transport", None)  # asyncpg
    shown = transport.get_extra_info("socket") if transport else getattr(driver, "_usock", driver)
    with suppress(AttributeError, OSError, ValueError):
        duplicate = socket.fromfd(shown.fileno(), socket.AF_INET, socket.SOCK_STREAM)
        with duplicate:
            for level, name, value in _SOCKET:
                if hasattr(socket, name):
                    duplicate.setsockopt(level, getattr(socket, name), value)
