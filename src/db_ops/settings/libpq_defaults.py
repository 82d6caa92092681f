"""libpq's defaults for the parameters that a URL omits: a service, then `PG*` variables.

libpq would look for them itself, but only when it connects: by then it has been decided whether the
database is a remote one and what it is called. Sources: PostgreSQL documentation, "Environment
Variables" and "The Connection Service File"; libpq's `conninfo_add_defaults`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from psycopg2 import ProgrammingError
from psycopg2.extensions import make_dsn

from db_ops.errors import InvalidSettings, InvalidUrl

# Without those that every connection of ours sets itself.
_VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "passfile": "PGPASSFILE",
    "options": "PGOPTIONS",
    "client_encoding": "PGCLIENTENCODING",
    "sslmode": "PGSSLMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslcompression": "PGSSLCOMPRESSION",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslcertmode": "PGSSLCERTMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcrl": "PGSSLCRL",
    "sslcrldir": "PGSSLCRLDIR",
    "sslsni": "PGSSLSNI",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "channel_binding": "PGCHANNELBINDING",
    "gssencmode": "PGGSSENCMODE",
    "gssdelegation": "PGGSSDELEGATION",
    "krbsrvname": "PGKRBSRVNAME",
    "gsslib": "PGGSSLIB",
    "requirepeer": "PGREQUIREPEER",
    "require_auth": "PGREQUIREAUTH",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
}
# Where the libpq inside of psycopg2-binary looks, and Debian's; PGSYSCONFDIR names another folder.
_SYSTEM_FOLDER = "/etc/postgresql-common"
NOT_UTF_8 = "not UTF-8"


def with_libpq_defaults(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return *parameters* with what libpq would take for those that are not there.

    What a service says stands in it; `service` is left only where a directory server has to be
    asked for it. Raises `InvalidSettings` or `InvalidUrl`.
    """
    given = {name: value for name, value in parameters.items() if name != "service"}
    service = parameters.get("service")
    named = service or _variable("PGSERVICE")
    if named:
        found = _service(named, None if service else "PGSERVICE")
        given = {**found, **given} if found is not None else {**given, "service": named}
    for name, variable in _VARIABLES.items():
        value = _variable(variable)
        if value and name not in given and is_libpq_parameter(name):
            given[name] = value
    return given


def is_libpq_parameter(name: str) -> bool:
    """Tell whether the libpq at hand has a connection parameter of this name."""
    try:
        make_dsn(**{name: ""})
    except (ProgrammingError, TypeError):
        return False
    return True


def is_utf_8(value: str) -> bool:
    """Tell whether psycopg2 can pass *value* on: other bytes are lone surrogates in Python."""
    return value.encode(errors="ignore").decode() == value


def _variable(name: str) -> str:
    value = os.environ.get(name, "")
    if not is_utf_8(value):
        raise InvalidSettings({name: NOT_UTF_8})
    return value


def _service(name: str, variable: str | None) -> dict[str, str] | None:
    """Return what a service file says of a service, None if it refers to a directory server."""
    paths = tuple(_service_files())
    for path in paths:
        try:
            lines = path.read_text().splitlines()
        except FileNotFoundError:
            continue
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else NOT_UTF_8
            raise InvalidSettings({"PGSERVICEFILE": f"{path}: {reason}"}) from None
        section = tuple(_section(lines, name))
        if section:
            return _read(section[1:], path)
    looked = " and ".join(map(str, paths))
    reason = f"no service {name!r} in {looked}"
    if variable:
        raise InvalidSettings({variable: reason})
    raise InvalidUrl(reason, f"add [{name}] to {paths[0]}, or let PGSERVICEFILE name its file")


def _service_files() -> Iterator[Path]:
    named = _variable("PGSERVICEFILE")
    if named:
        yield Path(named)
    else:
        # A user without a home has no file there.
        with suppress(RuntimeError):
            yield Path.home() / ".pg_service.conf"
    yield Path(_variable("PGSYSCONFDIR") or _SYSTEM_FOLDER, "pg_service.conf")


def _section(lines: list[str], name: str) -> Iterator[tuple[int, str]]:
    """Yield number and text of the heading of a section and of the lines that say something."""
    inside = False
    for number, line in enumerate(map(str.strip, lines), start=1):
        if line.startswith("["):
            if inside:
                return
            inside = line == f"[{name}]"
        if inside and line and not line.startswith("#"):
            yield number, line


def _read(lines: tuple[tuple[int, str], ...], path: Path) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for number, line in lines:
        if line.startswith("ldap"):
            return None
        name, equals, value = line.partition("=")
        if not equals or name == "service" or not is_libpq_parameter(name):
            # The line may hold a password.
            reason = f"{path}, line {number}: not a parameter of libpq's and its value"
            raise InvalidSettings({"PGSERVICEFILE": reason})
        found.setdefault(name, value)
    return found
