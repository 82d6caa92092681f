"""Ask a server whether it takes connections, without logging in.

libpq reports a failed connection as text in the server's language, with no SQLSTATE. The first
answer to a startup message carries one, which is how `pg_isready` tells "starting up" from "no".
Source: PostgreSQL documentation, "Message Flow" and "Message Formats".
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Mapping

_PROTOCOL_3_0 = 196608
_LOCAL_SOCKET_FOLDERS = ("/var/run/postgresql", "/tmp")
# What passes without anybody's doing.
NOT_NOW = {
    "57P03": "the server is starting up or shutting down",
    "53300": "the server has no free connection slot",
}


def reason_to_wait(parameters: Mapping[str, str], timeout: float) -> str | None:
    """Return why no host takes connections now, or None if one of them answers.

    None means that waiting is useless: what it refuses now it will refuse later. *timeout* is
    seconds for each host.
    """
    reasons = []
    for address in _addresses(parameters):
        reason = _ask(address, parameters, timeout)
        if reason is None:
            return None
        reasons.append(reason)
    return reasons[-1] if reasons else "no server answers"


def _addresses(parameters: Mapping[str, str]) -> Iterator[str | tuple[str, int]]:
    hosts = (parameters.get("hostaddr") or parameters.get("host") or "").split(",")
    ports = (parameters.get("port") or "5432").split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    for host, port in zip(hosts, ports, strict=False):
        folders = _LOCAL_SOCKET_FOLDERS if not host else (host,) if host.startswith("/") else ()
        for folder in folders:
            yield f"{folder}/.s.PGSQL.{port or 5432}"
        if not folders:
            yield host, int(port or 5432)


def _ask(
    address: str | tuple[str, int], parameters: Mapping[str, str], timeout: float
) -> str | None:
    user, database = parameters.get("user", "postgres"), parameters.get("dbname", "postgres")
    body = b"\0".join((b"user", user.encode(), b"database", database.encode(), b"\0"))
    message = struct.pack("!ii", len(body) + 8, _PROTOCOL_3_0) + body
    try:
        with _connected(address, timeout) as connection:
            connection.sendall(message)
            answer = connection.recv(4096)
    except TimeoutError:
        return f"no answer within {timeout:.0f} s"
    except OSError as error:
        return f"no server answers ({error.strerror or error})"
    if not answer:
        # A container's port proxy accepts and hangs up while nobody listens behind it.
        return "the connection was closed at once"
    if answer[:1] == b"E":
        return NOT_NOW.get(_sqlstate(answer))
    return None


def _connected(address: str | tuple[str, int], timeout: float) -> socket.socket:
    if isinstance(address, tuple):
        return socket.create_connection(address, timeout=timeout)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout)
    try:
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


def _sqlstate(answer: bytes) -> str:
    fields = answer[5:].split(b"\0")
    return next((field[1:].decode("ascii", "replace") for field in fields if field[:1] == b"C"), "")
