"""Translate connection URLs of other drivers and tools into libpq's parameters.

Nothing said here repeats a URL, or libpq's complaint about it, which quotes it: it may hold a
password. The name of a parameter is told unless it may be a piece of one.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote, urlencode

from psycopg2 import ProgrammingError
from psycopg2.extensions import parse_dsn

from db_ops.errors import InvalidUrl
from db_ops.settings.libpq_defaults import is_libpq_parameter

DEFAULT_PORT = "5432"
_SCHEME = r"(?P<dialect>[A-Za-z0-9]*)(\+(?P<driver>\w+))?://"
_DIALECTS = ("postgres", "postgresql")
# How other tools call PostgreSQL: GeoDjango, JDBC, Laravel, django-environ, Prisma.
_ALIASES = ("cockroachdb", "jdbc", "pgsql", "postgis", "prisma", "psql")
_QUOTES = "'\"`\u2018\u2019\u201c\u201d"
_IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_.-]{0,39}\Z"
# What SQLAlchemy passes on to drivers that are not libpq's; it says nothing of the server.
_OF_DRIVERS = frozenset(
    (
        "async_fallback",
        "command_timeout",
        "direct_tls",
        "max_cacheable_statement_size",
        "max_cached_statement_lifetime",
        "plugin",
        "prepare_threshold",
        "prepared_statement_cache_size",
        "prepared_statement_name_func",
        "ssl_context",
        "statement_cache_size",
        "tcp_keepalive",
        "timeout",
    )
)
# Those of libpq that people write themselves.
_KEYWORDS = (
    "application_name", "channel_binding", "client_encoding", "connect_timeout", "dbname",
    "gssencmode", "host", "hostaddr", "keepalives", "keepalives_count", "keepalives_idle",
    "keepalives_interval", "load_balance_hosts", "options", "passfile", "password", "port",
    "require_auth", "service", "sslcert", "sslcrl", "sslkey", "sslmode", "sslnegotiation",
    "sslpassword", "sslrootcert", "target_session_attrs", "tcp_user_timeout", "user",
)  # fmt: skip
_SSL_VALUES = {"true": "require", "1": "require", "on": "require", "yes": "require"}
_SSL_VALUES |= {"false": "disable", "0": "disable", "off": "disable", "no": "disable"}
_SEARCH_PATH = "write options=-csearch_path%3DSCHEMA"
_SSLMODE = "write sslmode=require, or sslmode=verify-full with sslrootcert=FILE"
_INSTEAD = {
    "schema": f"{_SEARCH_PATH}, or leave it out if it is public",
    "currentschema": _SEARCH_PATH,
    "search_path": _SEARCH_PATH,
    "ssl": _SSLMODE,
    "ssl_mode": _SSLMODE,
    "ssl-mode": _SSLMODE,
    "sslaccept": _SSLMODE,
    "ssl_require": _SSLMODE,
    "use_ssl": _SSLMODE,
    "usessl": _SSLMODE,
    "tls": _SSLMODE,
    "sslidentity": "write sslcert=FILE&sslkey=FILE",
    "ssl_ca": "write sslrootcert=FILE",
    "sslca": "write sslrootcert=FILE",
    "ssl_cert": "write sslcert=FILE",
    "ssl_key": "write sslkey=FILE",
    "charset": "write client_encoding=NAME",
    "encoding": "write client_encoding=NAME",
    "database": "write dbname=NAME",
    "username": "write user=NAME",
    "pgbouncer": "leave it out, and name the server itself: migrations need sessions of their own",
    "timezone": "write options=-ctimezone%3DNAME",
    "statement_timeout": "write options=-cstatement_timeout%3DMILLISECONDS",
    "lock_timeout": "write options=-clock_timeout%3DMILLISECONDS",
}
_OF_SOMEBODY_ELSE = "leave it out: it is a setting of another program's client or pool"


def read_parameters(text: str) -> dict[str, str]:
    """Return *text*, a URL in any driver's spelling or a keyword string, as libpq's parameters.

    Raises `InvalidUrl`.
    """
    text = text.strip()
    if not text:
        raise InvalidUrl("set, but empty", "unset it to use the embedded server, or name one")
    _refuse_what_is_around(text)
    try:
        return dict(parse_dsn(_for_libpq(text)))
    except (ProgrammingError, UnicodeError):
        raise InvalidUrl("libpq cannot parse it") from None


def _refuse_what_is_around(text: str) -> None:
    if re.match(r"psql\s", text):
        raise InvalidUrl("it is a command for psql", "write the URL alone, without psql and quotes")
    if re.match(r"(?:export\s+)?\w+=['\"]?\w+(?:\+\w+)?://", text):
        raise InvalidUrl("it begins with the name of a variable", "write the URL alone")
    if text[0] in _QUOTES or (text[-1] in _QUOTES and "://" in text):
        raise InvalidUrl(
            "it is in quotes, and they are part of it",
            "write it without quotes: Docker's env files and Kubernetes' secrets keep them",
        )


def _for_libpq(text: str) -> str:
    """Translate a URL written for a SQLAlchemy driver into one that libpq parses."""
    scheme = re.match(_SCHEME, text)
    if scheme is None:
        if "://" in text and "=" not in text.partition("://")[0]:
            raise InvalidUrl("it does not begin with postgresql://")
        return text
    dialect = scheme["dialect"]
    if dialect not in _DIALECTS:
        if dialect.lower() in (*_DIALECTS, *_ALIASES):
            raise InvalidUrl(f"it begins with {dialect}://", "let it begin with postgresql://")
        raise InvalidUrl(f"{dialect}:// is not PostgreSQL")
    address, question_mark, query = text[scheme.end() :].partition("?")
    path = address.partition("/")[2]
    if "@" in path or "/" in path:
        # Else half of a password with an unescaped slash would become the database's name.
        raise InvalidUrl("an @ or / of password or database name is not percent-encoded")
    if question_mark:
        query = _query(query, scheme["driver"])
    return f"postgresql://{address}{'?' if query else ''}{query}"


def _query(query: str, driver: str | None) -> str:
    """Keep the parameters that libpq knows; asyncpg's `ssl` is its `sslmode`."""
    given = parse_qsl(query, keep_blank_values=True)
    kept: dict[str, list[str]] = {}
    for name, value in given:
        if name == "ssl" and (driver or value == "true"):
            name, value = "sslmode", _SSL_VALUES.get(value.lower(), value)
        if is_libpq_parameter(name):
            kept.setdefault(name, []).append(value)
        elif not (driver and name in _OF_DRIVERS):
            raise _unknown(name, query)
    if not driver:
        return query
    # SQLAlchemy spells several hosts as `host=one:5432&host=two:5432`.
    pairs = [host.rpartition(":") for host in kept.get("host", ()) if not host.startswith("/")]
    if any(port.isdecimal() for _, _, port in pairs):
        kept["host"] = [host if port.isdecimal() else port for host, _, port in pairs]
        kept["port"] = [port if port.isdecimal() else DEFAULT_PORT for _, _, port in pairs]
    several = ("host", "hostaddr", "port")
    return urlencode(
        {name: ",".join(of) if name in several else of[-1] for name, of in kept.items()},
        quote_via=quote,
    )


def _unknown(name: str, query: str) -> InvalidUrl:
    if "@" in query or not re.match(_IDENTIFIER, name):
        return InvalidUrl("a ? of user or password is not percent-encoded")
    instead = _instead(name)
    if "password=" in query and instead == _OF_SOMEBODY_ELSE:
        return InvalidUrl("an & of its password is not percent-encoded, or a parameter is unknown")
    return InvalidUrl(f"libpq has no parameter {name!r}", instead)


def _instead(name: str) -> str:
    if name.lower() in _INSTEAD:
        return _INSTEAD[name.lower()]
    from difflib import get_close_matches

    close = get_close_matches(name.lower(), _KEYWORDS, 1, 0.75)
    if close:
        return f"write {close[0]}"
    return _OF_SOMEBODY_ELSE
