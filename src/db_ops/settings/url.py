"""The connection URL: parsed by libpq itself, and unable to show its password by accident."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import zip_longest
from types import MappingProxyType
from urllib.parse import quote, urlencode

from db_ops.errors import InvalidDatabaseName, InvalidUrl, MissingDatabaseName, ReservedDatabase
from db_ops.errors.base import URL_VARIABLE
from db_ops.frozen_data import FrozenData, field, replace
from db_ops.settings.libpq_defaults import is_libpq_parameter, with_libpq_defaults
from db_ops.settings.url_spelling import DEFAULT_PORT, read_parameters

MAX_NAME_BYTES = 63
EMBEDDED_LABEL = "embedded"
# What other drivers call libpq's keywords.
_LIBPQ_NAMES = {"database": "dbname", "username": "user", "ssl": "sslmode"}
_TEMPLATES = ("template0", "template1")
# All that hold no secret; what a later libpq adds is not shown before it is known.
_SHOWN = frozenset(
    (
        "channel_binding", "client_encoding", "connect_timeout", "dbname", "gssdelegation",
        "gssencmode", "gsslib", "host", "hostaddr", "keepalives", "keepalives_count",
        "keepalives_idle", "keepalives_interval", "krbsrvname", "load_balance_hosts", "options",
        "passfile", "port", "replication", "require_auth", "requirepeer", "service", "sslcert",
        "sslcertmode", "sslcompression", "sslcrl", "sslcrldir", "sslkey", "sslmode",
        "sslnegotiation", "sslrootcert", "sslsni", "ssl_max_protocol_version",
        "ssl_min_protocol_version", "target_session_attrs", "tcp_user_timeout", "user",
    )
)  # fmt: skip
# A setting with a dot in its name is an application's own, and may be its secret.
_CUSTOM_SETTING = r"(?:-c\s*|--)\w+\."
_MISTAKES = (InvalidUrl, MissingDatabaseName, InvalidDatabaseName, ReservedDatabase)


class DatabaseUrl(FrozenData):
    """Where a database is and how to get in, as libpq's own connection keywords.

    In messages, `label` stands in for the host (the embedded server's socket path is noise there),
    `shown` for the database's name (one that is built under another), and `source` says what to
    correct. `is_scratch` marks a database that is dropped again, and is not the one that is meant.
    """

    parameters: Mapping[str, str] = field(repr=False)
    label: str | None = None
    shown: str | None = None
    source: str = field(default=URL_VARIABLE, compare=False)
    is_scratch: bool = field(default=False, compare=False)

    @classmethod
    def parse(cls, text: str, source: str = URL_VARIABLE) -> DatabaseUrl:
        """Parse *text*, a URL in any SQLAlchemy driver's spelling or a libpq keyword string.

        *source* is what messages call the place where it stands. Raises `InvalidUrl`,
        `MissingDatabaseName`, `InvalidDatabaseName` or `ReservedDatabase`. Their messages never
        repeat *text* or libpq's complaint about it, which quotes it.
        """
        with _said_of(source):
            return replace(cls._parsed(text), source=source)

    @classmethod
    def _parsed(cls, text: str) -> DatabaseUrl:
        parameters = read_parameters(text)
        if "@" in parameters.get("host", "").removeprefix("@"):
            raise InvalidUrl("an @ of user or password is not percent-encoded")
        if not all(port.isdecimal() for port in parameters.get("port", "").split(",") if port):
            raise InvalidUrl("the port is not a number")
        return cls._completed(parameters)

    @classmethod
    def _completed(cls, parameters: Mapping[str, str]) -> DatabaseUrl:
        url = cls(MappingProxyType(with_libpq_defaults(parameters)))
        _check_name(url)
        return url

    @classmethod
    def from_driver_arguments(cls, arguments: Mapping[str, object], source: str) -> DatabaseUrl:
        """Return the way that a driver, of whatever name, was told to go by *source*.

        *arguments* are those of psycopg2's, psycopg's, asyncpg's or pg8000's `connect`. Raises what
        `parse` raises.
        """
        with _said_of(source):
            return replace(cls._of_driver(arguments), source=source)

    @classmethod
    def _of_driver(cls, arguments: Mapping[str, object]) -> DatabaseUrl:
        named = {_LIBPQ_NAMES.get(name, name): value for name, value in arguments.items()}
        dsn, settings = named.pop("dsn", None), named.pop("server_settings", None)
        parameters = {} if not dsn else read_parameters(str(dsn))
        for name, value in named.items():
            text = _as_libpq_writes(name, value)
            if text and is_libpq_parameter(name):
                parameters[name] = text
        if isinstance(settings, Mapping):
            given = (f"-c {name}={_escaped(str(value))}" for name, value in settings.items())
            parameters["options"] = " ".join((parameters.get("options", ""), *given)).strip()
        return cls._completed(parameters)

    @property
    def database(self) -> str:
        return self.parameters.get("dbname", "")

    @property
    def user(self) -> str:
        return self.parameters.get("user", "")

    @property
    def server(self) -> str:
        """Name the server for people, without the database."""
        if self.label:
            return self.label
        host = self.parameters.get("host") or self.parameters.get("hostaddr")
        if not host:
            return "local socket"
        hosts = host.split(",")
        ports = self.parameters.get("port", DEFAULT_PORT).split(",")
        ports = ports * len(hosts) if len(ports) == 1 else ports
        return ",".join(f"{h}:{p or DEFAULT_PORT}" for h, p in zip(hosts, ports, strict=False))

    @property
    def is_embedded(self) -> bool:
        """Whether it leads to the project's embedded server."""
        return self.label == EMBEDDED_LABEL

    @property
    def location(self) -> str:
        """Name the database for people: `host:port/database`."""
        kind = " (scratch database)" if self.is_scratch else ""
        return f"{self.server}/{self.shown or self.database}{kind}"

    @property
    def secrets(self) -> dict[str, str]:
        """The parameters that are, or may be, secret."""
        every = self.parameters.items()
        return {name: value for name, value in every if value and not _may_be_shown(name, value)}

    def with_database(self, database: str) -> DatabaseUrl:
        """Return the way to another database of the server."""
        parameters = MappingProxyType({**self.parameters, "dbname": database})
        return replace(self, parameters=parameters, shown=None)

    def built_as(self, database: str) -> DatabaseUrl:
        """Return the way to another database of the server, which messages call by this name."""
        return replace(self.with_database(database), shown=self.shown or self.database)

    def scratch_at(self, database: str) -> DatabaseUrl:
        """Return the way to a scratch database that is built for this one, and called so."""
        return replace(self.built_as(database), is_scratch=True)

    def with_password(self, password: str) -> DatabaseUrl:
        """Return this URL with another password."""
        return replace(self, parameters=MappingProxyType({**self.parameters, "password": password}))

    def with_option(self, name: str, value: str) -> DatabaseUrl:
        """Return this URL with a setting of the server's for the sessions it opens."""
        options = f"{self.parameters.get('options', '')} -c {name}={_escaped(value)}".strip()
        return replace(self, parameters=MappingProxyType({**self.parameters, "options": options}))

    def is_same_database(self, other: DatabaseUrl) -> bool:
        """Tell whether both lead to one database, as far as names can tell."""
        return (self._place(), self.database) == (other._place(), other.database)

    def _place(self) -> tuple[str, str]:
        hosts = "" if self.is_local() else ",".join(self._hosts()).lower()
        return hosts, self.parameters.get("port") or DEFAULT_PORT

    def _hosts(self) -> list[str]:
        """Return where libpq would connect to: of each host, its address if that is given."""
        hosts = self.parameters.get("host", "").split(",")
        addresses = self.parameters.get("hostaddr", "").split(",")
        pairs = zip_longest(addresses, hosts, fillvalue="")
        return [address or host for address, host in pairs]

    def is_local(self) -> bool:
        """Tell whether every host is this machine: a Unix socket or a loopback address.

        A service that a directory server knows may be on any host, so it counts as remote.
        """
        return "service" not in self.parameters and all(map(_is_this_machine, self._hosts()))

    def render(self, *, with_password: bool = False) -> str:
        """Return a `postgresql://` URL that libpq and SQLAlchemy read.

        Without the password it has only those parameters that are known to hold no secret.
        """
        hidden = {} if with_password else self.secrets
        rest = {n: value for n, value in self.parameters.items() if value and n not in hidden}
        user, password = rest.pop("user", ""), rest.pop("password", "")
        hosts, ports = rest.pop("host", "").split(","), rest.pop("port", "").split(",")
        database = rest.pop("dbname", "")
        if any(host.startswith("/") for host in hosts):
            rest = {"host": ",".join(hosts), **rest}
            rest |= {"port": ",".join(ports)} if any(ports) else {}
            authority = ""
        else:
            ports = ports * len(hosts) if len(ports) == 1 else ports
            pairs = zip(hosts, ports, strict=False)
            authority = ",".join(_bracketed(h) + (f":{p}" if p else "") for h, p in pairs)
        credentials = quote(user, safe="")
        if with_password and password:
            credentials += ":" + quote(password, safe="")
        query = urlencode(rest, quote_via=quote, safe="/,")
        return (
            "postgresql://"
            + (f"{credentials}@" if credentials else "")
            + authority
            + f"/{quote(database, safe='')}"
            + (f"?{query}" if query else "")
        )


@contextmanager
def _said_of(source: str) -> Iterator[None]:
    """Let what is wrong with a URL in a `with` block be said of the place where it stands."""
    try:
        yield
    except _MISTAKES as error:
        raise replace(error, source=source) from None


def _as_libpq_writes(name: str, value: object) -> str:
    """Return an argument of a driver's as libpq's text; empty for what libpq has no word for."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    if name == "sslmode" and not isinstance(value, str):
        return "require" if value else ""
    return str(value) if isinstance(value, str | int | float) and value != "" else ""


def _escaped(value: str) -> str:
    # Source: PostgreSQL documentation, "Database Connection Control Functions", options.
    return value.replace("\\", "\\\\").replace(" ", "\\ ")


def _check_name(url: DatabaseUrl) -> None:
    name = url.database
    if not name:
        raise MissingDatabaseName(url.server)
    if len(name.encode()) > MAX_NAME_BYTES:
        # The server would cut it with no more than a NOTICE.
        raise InvalidDatabaseName(name, f"{len(name.encode())} bytes, at most {MAX_NAME_BYTES} fit")
    if name in _TEMPLATES:
        raise ReservedDatabase(url.server, name)


def _is_this_machine(host: str) -> bool:
    if host in ("", "localhost") or host.startswith(("/", "@")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _may_be_shown(name: str, value: str) -> bool:
    return name in _SHOWN and not (name == "options" and re.search(_CUSTOM_SETTING, value))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
