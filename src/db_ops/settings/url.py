"""The connection URL: parsed by libpq itself, and unable to show its password by accident."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from urllib.parse import parse_qsl, quote, urlencode

from psycopg2 import ProgrammingError
from psycopg2.extensions import make_dsn, parse_dsn

from db_ops.errors import InvalidDatabaseName, InvalidUrl, MissingDatabaseName, ReservedDatabase
from db_ops.errors.base import URL_VARIABLE

MAX_NAME_BYTES = 63
DEFAULT_PORT = "5432"
_SCHEME = re.compile(r"(?P<dialect>[A-Za-z0-9]*)(\+(?P<driver>\w+))?://")
# What other drivers call libpq's keywords.
_LIBPQ_NAMES = {"database": "dbname", "username": "user", "ssl": "sslmode"}
_TEMPLATES = ("template0", "template1")
_MISTAKES = (InvalidUrl, MissingDatabaseName, InvalidDatabaseName, ReservedDatabase)


@dataclass(frozen=True)
class DatabaseUrl:
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
        if not text.strip():
            raise InvalidUrl("set, but empty; unset it to use the embedded server")
        try:
            parameters = parse_dsn(_for_libpq(text.strip()))
        except (ProgrammingError, UnicodeError):
            raise InvalidUrl("libpq cannot parse it") from None
        if "@" in parameters.get("host", ""):
            raise InvalidUrl("an @ of user or password is not percent-encoded")
        if not all(port.isdecimal() for port in parameters.get("port", "").split(",") if port):
            raise InvalidUrl("the port is not a number")
        url = cls(MappingProxyType(parameters))
        _check_name(url)
        return url

    @classmethod
    def of_driver(cls, arguments: Mapping[str, object], source: str) -> DatabaseUrl:
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
        parameters = {} if not dsn else dict(cls.parse(str(dsn)).parameters)
        for name, value in named.items():
            text = _as_libpq_writes(name, value)
            if text and _libpq_knows(name):
                parameters[name] = text
        if isinstance(settings, Mapping):
            given = (f"-c {name}={_escaped(str(value))}" for name, value in settings.items())
            parameters["options"] = " ".join((parameters.get("options", ""), *given)).strip()
        url = cls(MappingProxyType(parameters))
        _check_name(url)
        return url

    @property
    def database(self) -> str:
        return self.parameters.get("dbname", "")

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
    def location(self) -> str:
        """Name the database for people: `host:port/database`."""
        kind = " (scratch database)" if self.is_scratch else ""
        return f"{self.server}/{self.shown or self.database}{kind}"

    def at(self, database: str) -> DatabaseUrl:
        """Return the way to another database of the server."""
        parameters = MappingProxyType({**self.parameters, "dbname": database})
        return replace(self, parameters=parameters, shown=None)

    def built_as(self, database: str) -> DatabaseUrl:
        """Return the way to another database of the server, which messages call by this name."""
        return replace(self.at(database), shown=self.shown or self.database)

    def scratch_at(self, database: str) -> DatabaseUrl:
        """Return the way to a scratch database that is built for this one, and called so."""
        return replace(self.built_as(database), is_scratch=True)

    def with_defaults(self, defaults: Mapping[str, str]) -> DatabaseUrl:
        """Return this URL with *defaults* for the keywords that it does not name."""
        return replace(self, parameters=MappingProxyType({**defaults, **self.parameters}))

    def with_option(self, name: str, value: str) -> DatabaseUrl:
        """Return this URL with a setting of the server's for the sessions it opens."""
        options = f"{self.parameters.get('options', '')} -c {name}={_escaped(value)}".strip()
        return replace(self, parameters=MappingProxyType({**self.parameters, "options": options}))

    def means_the_same(self, other: DatabaseUrl) -> bool:
        """Tell whether both lead to one database, as far as names can tell."""
        return (self._place(), self.database) == (other._place(), other.database)

    def _place(self) -> tuple[str, str]:
        host = self.parameters.get("hostaddr") or self.parameters.get("host") or ""
        local = all(_is_this_machine(one) for one in host.split(","))
        return "" if local else host.lower(), self.parameters.get("port") or DEFAULT_PORT

    def is_local(self) -> bool:
        """Tell whether every host is this machine: a Unix socket or a loopback address.

        A service file may name any host, so it counts as remote.
        """
        if "service" in self.parameters:
            return False
        hosts = self.parameters.get("hostaddr") or self.parameters.get("host") or ""
        return all(_is_this_machine(host) for host in hosts.split(","))

    def render(self, *, with_password: bool = False) -> str:
        """Return a `postgresql://` URL that libpq and SQLAlchemy read."""
        rest = {name: value for name, value in self.parameters.items() if value}
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


def _for_libpq(text: str) -> str:
    """Translate a URL written for a SQLAlchemy driver into one that libpq parses."""
    scheme = _SCHEME.match(text)
    if scheme is None:
        if "://" in text:
            raise InvalidUrl("it does not begin with postgresql://")
        return text
    if scheme["dialect"] not in ("postgres", "postgresql"):
        raise InvalidUrl(f"{scheme['dialect']}:// is not PostgreSQL")
    address, question_mark, query = text[scheme.end() :].partition("?")
    path = address.partition("/")[2]
    if "@" in path or "/" in path:
        # Else half of a password with an unescaped slash would become the database's name.
        raise InvalidUrl("an @ or / of password or database name is not percent-encoded")
    if scheme["driver"] and question_mark:
        query = _driver_query(query)
    return f"postgresql://{address}{'?' if query else ''}{query}"


def _driver_query(query: str) -> str:
    """Keep the query parameters that libpq knows; asyncpg's `ssl` is its `sslmode`."""
    kept: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        name = "sslmode" if name == "ssl" else name
        if _libpq_knows(name):
            kept.setdefault(name, []).append(value)
    # SQLAlchemy spells several hosts as `host=one:5432&host=two:5432`.
    pairs = [host.rpartition(":") for host in kept.get("host", ()) if not host.startswith("/")]
    if any(port.isdecimal() for _, _, port in pairs):
        kept["host"] = [host if port.isdecimal() else port for host, _, port in pairs]
        kept["port"] = [port if port.isdecimal() else DEFAULT_PORT for _, _, port in pairs]
    return urlencode({name: ",".join(values) for name, values in kept.items()}, quote_via=quote)


def _libpq_knows(name: str) -> bool:
    try:
        make_dsn(**{name: ""})
    except (ProgrammingError, TypeError):
        return False
    return True


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


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
