"""The statements that make what a database holds, and those that remove it, by pg_dump."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from db_ops.errors import ClientMissing, DumpFailed
from db_ops.errors.quote_ident import in_quotes, quote_ident
from db_ops.postgres.client import follow_client
from db_ops.postgres.connection.server import Server
from db_ops.postgres.embedded.programs import find_client
from db_ops.postgres.sql_script import split_script
from db_ops.settings import RECORDS_SCHEMA

_ARGUMENTS = (
    *("-w", "--encoding=UTF8", "--column-inserts", "--rows-per-insert=100"),
    *("--no-subscriptions", f"--exclude-schema={RECORDS_SCHEMA}"),
)
_SESSION = re.compile(r"SET |SELECT pg_catalog\.set_config\(")
# What pg_dump says of each table, whatever it is, where nothing else was said before.
_USUAL = ("SET default_tablespace = ''", "SET default_table_access_method = heap")
_CONSTRAINT = re.compile(r"ALTER TABLE (?:ONLY )?(\S+)\s+(?:ADD|DROP) CONSTRAINT (\S+?)(?:\s|$)")
_SEQUENCE = re.compile(r"SELECT pg_catalog\.setval\('((?:[^']|'')+)',")
# A name that is qualified, or what may hold one and is not: strings, bodies, names in quotes.
_TOKEN = r"""(?P<name>(?<![\w."$]){schema}\.(?=[\w"+*/<>=~!@#%^&|`?-]))
    | '(?P<literal>{literal}\.)(?P<rest>(?:[^']|'')*'::reg)
    | E?'(?:[^']|'')*' | "(?:[^"]|"")*" | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$"""


@dataclass(frozen=True)
class SchemaScript:
    """What pg_dump writes of a database, as statements that a revision can run.

    `version_schema` is the schema of `version_table`, where what is named without a schema belongs;
    `role`, as SQL writes it, owns what nobody else was given.
    """

    server: Server
    major: int
    version_schema: str
    version_table: str
    role: str

    def read(
        self, *, without_rows_of: Iterable[str], sequences: Iterable[str]
    ) -> tuple[list[str], list[str]]:
        """Return the statements that make it, but for the rows of these tables, and what drops it.

        The *sequences* named go on where they are. Extensions stay, which others may use by now.
        Raises `DumpFailed`, `ClientMissing`.
        """
        arguments = [f"--exclude-table-data={one}" for one in without_rows_of]
        create, both = self._read(*arguments), self._read(*arguments, "--clean")
        drop = [*self._needed(both[: len(both) - len(create)], create)]
        counted = frozenset(sequences)
        return list(self._statements(create, counted)), list(self._statements(drop, counted))

    def _needed(self, drop: Iterable[str], create: Iterable[str]) -> Iterator[str]:
        """Yield what of *drop* does not fall with a table, or stays."""
        foreign = {
            found.groups()
            for statement in create
            if "FOREIGN KEY" in statement and (found := _CONSTRAINT.match(statement))
        }
        stays = f"DROP SCHEMA {quote_ident(self.version_schema)}", "DROP EXTENSION "
        for statement in drop:
            constraint = _CONSTRAINT.match(statement)
            if not (
                statement.startswith(stays)
                or statement.startswith("DROP INDEX ")
                or (constraint and constraint.groups() not in foreign)
            ):
                yield statement

    def _read(self, *arguments: str) -> list[str]:
        program = find_client("pg_dump", self.major, alike=True)
        if program is None:
            raise ClientMissing(self.server.location, "pg_dump")
        versions = f"{in_quotes(self.version_schema)}.{in_quotes(self.version_table)}"
        with tempfile.TemporaryDirectory(prefix="db_ops-") as folder:
            path = Path(folder) / "schema.sql"
            arguments = (*_ARGUMENTS, f"--exclude-table={versions}", *arguments, "-f", str(path))
            said = follow_client(
                self.server.url,
                program,
                *arguments,
                on_line=lambda line: False,
                on_pause=lambda: None,
            )
            if said.exit_code:
                remedy = "see what it says, then run this again"
                lines = tuple(said.lines)
                raise DumpFailed(self.server.location, path.name, said.reason, remedy, lines)
            script = path.read_bytes().decode()
        found = [one.text for one in split_script(script)]
        head = next((n for n, one in enumerate(found) if not _SESSION.match(one)), len(found))
        return found[head:]

    def _statements(self, found: Sequence[str], sequences: frozenset[str]) -> Iterator[str]:
        role, schema = re.escape(self.role), quote_ident(self.version_schema)
        in_string = schema.replace("'", "''")
        owner = re.compile(rf"ALTER .* OWNER TO {role}\Z", re.DOTALL)
        of_role = re.compile(rf"(GRANT|REVOKE) (.*) (TO|FROM) {role}\Z", re.DOTALL)
        token = re.compile(
            _TOKEN.format(schema=re.escape(schema), literal=re.escape(in_string)),
            re.DOTALL | re.VERBOSE,
        )
        usual = all(one in _USUAL for one in found if one.startswith("SET default_"))
        unchecked = any(re.search(r"\bLANGUAGE sql\b", one) for one in found)
        if unchecked:
            # Their bodies may name what comes later.
            yield "SET LOCAL check_function_bodies = off"
        for statement in found:
            counted = _SEQUENCE.match(statement)
            if counted and counted[1].replace("''", "'") not in sequences:
                continue
            if counted:
                statement = statement.replace(f"'{in_string}.", "'", 1)
            if (
                owner.match(statement)
                or statement.startswith("COMMENT ON EXTENSION ")
                or (usual and statement in _USUAL)
            ):
                continue
            statement = re.sub(r"\ASET default_", "SET LOCAL default_", statement)
            statement = re.sub(
                r"\ACREATE SCHEMA (?!IF )", "CREATE SCHEMA IF NOT EXISTS ", statement
            )
            statement = statement.replace(
                f"ALTER DEFAULT PRIVILEGES FOR ROLE {self.role} ",
                "ALTER DEFAULT PRIVILEGES ",
                1,
            )
            statement = of_role.sub(r"\1 \2 \3 CURRENT_USER", statement)
            if statement.startswith("CREATE EXTENSION "):
                statement = statement.removesuffix(f" WITH SCHEMA {schema}")
            yield token.sub(_unqualified, statement)
        if unchecked:
            yield "SET LOCAL check_function_bodies = on"


def _unqualified(found: re.Match[str]) -> str:
    if found["name"]:
        return ""
    return f"'{found['rest']}" if found["literal"] else found[0]
