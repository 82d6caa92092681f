"""The databases, or schemas, of a fleet, as `[tool.db_ops.fleet]` tells where they are."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable, Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from db_ops.errors import DbOpsError, FleetSourceFailed, UsageError
from db_ops.errors.quote_ident import quote_ident
from db_ops.frozen_data import FrozenData, replace
from db_ops.migrations.project import Project
from db_ops.postgres.connection.server import Server
from db_ops.settings import DatabaseUrl, Settings
from db_ops.settings.fleet import FleetSettings, is_variable, member_url, variable
from db_ops.settings.model import PRODUCTION

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

WHERE = "[tool.db_ops.fleet]"
_AT_ONCE = 1000
_NAMES = """
    SELECT datname FROM pg_database
    WHERE datallowconn AND NOT datistemplate AND datconnlimit <> -2
      AND datname !~ '^db_ops_[a-z]+_[0-9a-f]{16}$'
    ORDER BY datname
"""


class Member(FrozenData):
    """One database of a fleet: its name, or its URL, and the schema in it if that is meant."""

    text: str
    schema: str | None = None
    only_schema: bool = False

    @property
    def database(self) -> str:
        """What people call the database; a URL is never shown."""
        if "://" not in self.text:
            return self.text
        return DatabaseUrl.parse(self.text, WHERE).location

    @property
    def name(self) -> str:
        """What people call it, and what `--only` takes."""
        if self.schema is None:
            return self.database
        return self.schema if self.only_schema else f"{self.database}/{self.schema}"

    @property
    def holds_secret(self) -> bool:
        """Tell whether its URL has a secret in it, and not the name of a variable."""
        if "://" not in self.text:
            return False
        secrets = DatabaseUrl.parse(self.text, WHERE).secrets
        return any(not is_variable(value) for value in secrets.values())

    def is_in_shard(self, number: int, count: int) -> bool:
        """Tell whether it is in part *number* of *count*, which its name alone decides."""
        return zlib.crc32(self.name.encode()) % count == number - 1

    def told(self, fleet: FleetSettings) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
        """Return what env.py is told of it: arguments as of `-x`, and variables."""
        # Of a URL, its database: the rest may be secret, and is shown in hints.
        named = DatabaseUrl.parse(self.text, WHERE).database if "://" in self.text else self.text
        name = self.schema or named
        x = tuple(one.replace("{name}", name) for one in fleet.x)
        return x, tuple((key, one.replace("{name}", name)) for key, one in fleet.environment)

    def settings(self, base: Settings, url: DatabaseUrl) -> Settings:
        """Return the settings for this one; those of the service have *url*.

        Raises what `member_url` raises.
        """
        if "://" in self.text:
            url = member_url(self.text, WHERE, base.root)
        else:
            url = url.with_database(self.text)
        fleet = base.fleet
        declared = base.declared_environment
        if declared is None and base.environment == PRODUCTION:
            declared = PRODUCTION
        x, variables = self.told(fleet) if fleet else ((), ())
        changed: dict[str, Any] = {}
        changed["fingerprints"] = fleet is not None and fleet.fingerprints
        if self.schema is not None and not x and not variables:
            url = url.with_option("search_path", quote_ident(self.schema))
            changed["version_table_schema"] = self.schema
        return replace(
            base,
            url=url,
            application_url=None,
            declared_environment=declared,
            database_per_branch=False,
            branch=None,
            schema_file=None,
            spare=False,
            embedded=False,
            x=(*base.x, *x),
            variables=variables,
            schema=self.schema,
            sources={"url": WHERE},
            **changed,
        )


def fleet_of(settings: Settings) -> FleetSettings:
    """Return what the project says of its fleet. Raises `UsageError` if it does not."""
    if settings.fleet is None:
        raise UsageError(
            "fleet: the project does not say where its databases are",
            f'name them in pyproject.toml: {WHERE} pattern = "tenant_*", or databases, query, file,'
            " schemas",
        )
    return settings.fleet


def members(server: Server, project: Project) -> Iterator[Member]:
    """Yield the databases of the fleet, in the order of their source.

    *server* is that of the service's own database. Raises `FleetSourceFailed`, `UsageError`, and
    what a connection raises.
    """
    fleet = fleet_of(server.settings)
    if fleet.schemas is None:
        yield from map(Member, _databases(server, project, fleet))
        return
    alone = not (fleet.databases or fleet.query or fleet.file or fleet.pattern)
    databases = [server.url.database] if alone else _databases(server, project, fleet)
    for text in databases:
        there = Member(text).settings(server.settings, server.url)
        assert there.url is not None
        for schema in schemas_of(replace(server, url=there.url, settings=there)):
            yield Member(text, schema, only_schema=alone)


def schemas_of(server: Server) -> Iterator[str]:
    """Yield the schemas of the server's database that are members of the fleet."""
    fleet = fleet_of(server.settings)
    if fleet.schemas is not None:
        with server.target() as connection:
            yield from _column(server, connection, fleet.schemas, "schemas")


def _databases(server: Server, project: Project, fleet: FleetSettings) -> Iterable[str]:
    if fleet.file is not None:
        return _lines(server.settings, fleet.file)
    if fleet.databases is not None:
        return _called(project, fleet.databases)
    if fleet.query is not None:
        return _queried(server, fleet, fleet.query)
    return _matching(server, fleet.pattern or "")


def _lines(settings: Settings, file: str) -> Iterator[str]:
    try:
        with (settings.root / file).open(encoding="utf-8") as lines:
            for line in lines:
                text = line.strip()
                if text and not text.startswith("#"):
                    yield text
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise FleetSourceFailed(file, reason) from None


def _matching(server: Server, pattern: str) -> Iterator[str]:
    with server.maintenance() as connection, connection.cursor() as cursor:
        cursor.execute(_NAMES)
        for (name,) in cursor:
            if fnmatchcase(name, pattern):
                yield name


def _queried(server: Server, fleet: FleetSettings, query: str) -> Iterator[str]:
    if fleet.catalog_env is not None:
        text = variable(fleet.catalog_env, f"{WHERE} catalog_env", server.settings.root)
        url = DatabaseUrl.parse(text, fleet.catalog_env)
        server = replace(server, url=url, settings=replace(server.settings, role=None))
    with server.target() as connection:
        yield from _column(server, connection, query, "query")


def _column(server: Server, connection: Connection, query: str, key: str) -> Iterator[str]:
    """Yield the first column of what *query* finds, without holding all of it."""
    connection.autocommit = False
    with server.translate_errors(f"{WHERE} {key}"), connection.cursor() as setting:
        setting.execute("SET TRANSACTION READ ONLY")
        with connection.cursor("db_ops_fleet") as cursor:
            cursor.itersize = _AT_ONCE
            cursor.execute(query.rstrip().rstrip(";"))
            for row in cursor:
                yield _text(row[0], f"{WHERE} {key}")


def _called(project: Project, name: str) -> Iterator[str]:
    """Yield what the project's own callable yields or returns, or is awaited for."""
    from db_ops.migrations.env.project_function import project_function

    with _explained(project, name):
        project.make_importable()
        found = project_function(name)()
        if not isinstance(found, Iterable) or isinstance(found, str | bytes):
            found = _awaited(found)
    iterator = iter(found)
    while True:
        with _explained(project, name):
            one = next(iterator, None)
            if one is None:
                return
            text = _text(one, name)
        yield text


def _awaited(found: Any) -> list[Any]:
    import asyncio
    import inspect

    from db_ops.migrations.foreign_env.sandbox import outside_event_loop

    async def collected() -> list[Any]:
        awaited = await found if inspect.isawaitable(found) else found
        if isinstance(awaited, AsyncIterable):
            return [one async for one in awaited]
        if not isinstance(awaited, Iterable) or isinstance(awaited, str | bytes):
            raise TypeError(f"it returned {type(awaited).__name__}, which is no list of databases")
        return list(awaited)

    result: list[Any] = []
    outside_event_loop(lambda: result.extend(asyncio.run(collected())))
    return result


@contextmanager
def _explained(project: Project, name: str) -> Iterator[None]:
    try:
        yield
    except (DbOpsError, KeyboardInterrupt):
        raise
    except (Exception, SystemExit) as error:
        from db_ops.migrations.env.error_location import SourceLocation
        from db_ops.migrations.scripts import source_error_fields

        fields = source_error_fields(project, error, SourceLocation(project.pyproject))
        fields["reason"] = f"{name}: {fields['reason']}"
        raise FleetSourceFailed(**fields) from error


def _text(value: Any, source: str) -> str:
    from db_ops.migrations.foreign_env.url_from import revealed

    text = revealed(value).strip() if value is not None else ""
    if not text:
        raise UsageError(f"fleet: {source} yields an empty name", f"correct it, or {WHERE}")
    return text
