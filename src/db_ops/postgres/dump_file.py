"""Write a database to a file by pg_dump, and load one by pg_restore or psql."""

from __future__ import annotations

import gzip
import os
import re
import secrets
import subprocess
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from db_ops.errors import ClientMissing, DumpFailed, DumpUnreadable, LoadFailed
from db_ops.postgres.client import ClientOutput, follow_client
from db_ops.postgres.connection.server import Server
from db_ops.postgres.embedded.programs import client_version, find_client
from db_ops.results import OnEvent, TableCopied

CUSTOM, PLAIN, COMPRESSED = SUFFIXES = (".dump", ".sql", ".sql.gz")
_WITHOUT_GRANTS = ("--no-owner", "--no-privileges")
_TABLE = re.compile(r"pg_(?:dump|restore): (?:dumping contents of|processing data for) table (.+)")
_PROGRESS = re.compile(r"pg_(?:dump|restore): (?!error: |warning: |hint: |detail: )")
# What pg_dump ends a script with.
_COMPLETE = b"-- PostgreSQL database dump complete"
_COPY = re.compile(rb"COPY (.+?) (?:\(.*\) )?FROM stdin;\s*\Z")
_SET = re.compile(rb"SET (\w+) = ")
# What stands before the first object.
_HEAD = (b"--", b"\n", b"\r\n", b"SET ", b"SELECT pg_catalog.set_config(")
_JOBS = 4
_DUMP_REMEDIES = {
    "server version mismatch": "install the client programs of PostgreSQL {major}",
    # A wait for a table ends by this timeout of pg_dump's session.
    "statement timeout": "run this again when the transaction that holds the table has ended;"
    " DB_OPS_LOCK_TIMEOUT is how long to wait",
    "permission denied": "run this as the owner of the database, or GRANT SELECT to this role",
    "row-level security": "run this as the owner of the tables, or a role with BYPASSRLS",
    "No space left": "make room, or name a file elsewhere: db-ops dump FILE",
    "": "see what it says, then run this again: db-ops dump {path}",
}
_LOAD_REMEDIES = {
    "unsupported version": "install newer client programs of PostgreSQL",
    "role ": "create that role, or leave --grants out",
    "extension ": "install that extension on the server, or let a superuser create it",
    "backslash commands are restricted": "load only what pg_dump wrote; for a script of psql's own:"
    " db-ops shell < {path}",
    "": "see what it says; if the file is not whole, take it again: db-ops dump FILE",
}


@dataclass
class _Tables:
    """Tells of the tables that a client goes through, and how many bytes are done, if known."""

    on_event: OnEvent
    total: int | None
    loading: bool
    size: Callable[[], int | None]
    position: int = field(default=0, init=False)
    table: str = field(default="", init=False)

    def begin(self, table: str) -> None:
        self.table, self.position = table.replace('"', ""), self.position + 1
        self.tell()

    def read(self, line: str) -> bool:
        """Take a line of the client; False for one that is no progress."""
        found = _TABLE.match(line)
        if found:
            self.begin(found[1])
        return _PROGRESS.match(line) is not None

    def tell(self) -> None:
        if self.table:
            done = TableCopied(self.table, self.position, self.total, self.size(), self.loading)
            self.on_event(done)


def _unknown() -> None:
    return None


def format_of(path: Path) -> str | None:
    """Return which of `SUFFIXES` *path* has, None for another one."""
    return next((one for one in reversed(SUFFIXES) if path.name.endswith(one)), None)


def write_dump_file(server: Server, path: Path, *, grants: bool, major: int, tables: int) -> str:
    """Write the database of *server* to *path*, whole or not at all; return what program did it.

    Only its owner may read the file. A script has owners and privileges only with *grants*; what
    pg_restore reads always has them. Raises `DumpFailed`, `ClientMissing`.
    """
    program = _client(server, "pg_dump", major)
    part = path.with_name(f"{path.name}.part")
    wait = round(server.settings.lock_timeout * 1000)
    arguments = ["-v", "-w", f"--lock-wait-timeout={wait}", "-f", str(part), *_role(server)]
    arguments += ["-Fc"] if format_of(path) == CUSTOM else () if grants else _WITHOUT_GRANTS
    arguments += ["-Z", "6"] if format_of(path) == COMPRESSED else ()

    def size() -> int:
        with suppress(OSError):
            return part.stat().st_size
        return 0

    told = _Tables(server.on_event, tables, False, size)
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        said = follow_client(server.url, program, *arguments, on_line=told.read, on_pause=told.tell)
        if said.exit_code:
            lines = tuple(said.lines)
            remedy = _remedy(_DUMP_REMEDIES, said, major, path)
            raise DumpFailed(server.location, str(path), said.reason, remedy, lines)
        part.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = "name a file in a folder that you may write to: db-ops dump FILE"
        raise DumpFailed(server.location, str(path), reason, remedy) from error
    finally:
        with suppress(OSError):
            part.unlink()
    return program


def read_dump_file(server: Server, path: Path, *, grants: bool, major: int) -> str:
    """Load *path* into the database of *server*, which is empty; return what program did it.

    Owners and privileges only with *grants*. Raises `DumpUnreadable`, `LoadFailed`,
    `ClientMissing`.
    """
    archive = program = None
    tables = None
    if format_of(path) == CUSTOM:
        archive, tables = _reader(server, path, major)
    is_restored = archive is not None and client_version(Path(archive)) == major
    with path.open("rb") as file:
        # What pg_restore reads, it does not tell.
        told = _Tables(server.on_event, tables, True, _unknown if is_restored else file.tell)
        # What is lost in a crash is an empty database.
        url = server.url.with_option("synchronous_commit", "off")
        if archive and is_restored:
            program = archive
            jobs = str(min(_JOBS, os.cpu_count() or 1))
            owners = () if grants else _WITHOUT_GRANTS
            options = ["-v", "-w", "--exit-on-error", "-j", jobs]
            arguments = [*options, *owners, *_role(server), str(path)]
            said = follow_client(url, program, *arguments, on_line=told.read, on_pause=told.tell)
        else:
            program = _client(server, "psql", major)
            arguments = ["-X", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-f", "-"]
            with _lines(path, file, archive, grants=grants) as lines:
                said = follow_client(
                    url,
                    program,
                    *arguments,
                    on_line=lambda line: False,
                    on_pause=told.tell,
                    feed=_script(path, lines, told, server),
                )
    if said.exit_code:
        remedy = _remedy(_LOAD_REMEDIES, said, major, path)
        raise LoadFailed(server.location, str(path), said.reason, remedy, tuple(said.lines))
    return program


@contextmanager
def _lines(
    path: Path, file: BinaryIO, archive: str | None, *, grants: bool
) -> Iterator[Iterable[bytes]]:
    """Yield the lines of the script in *file*, or of the one that the program *archive* makes.

    A pg_restore of another version than the server's would send it settings that it does not know.
    """
    if archive is None:
        yield gzip.GzipFile(fileobj=file) if format_of(path) == COMPRESSED else file
        return
    owners = () if grants else _WITHOUT_GRANTS
    with subprocess.Popen(
        (archive, "-f", "-", *owners), stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as made:
        assert made.stdout is not None
        yield made.stdout


def _role(server: Server) -> tuple[str, ...]:
    role = server.settings.role
    return () if role is None else (f"--role={role}",)


def _settings(server: Server) -> frozenset[bytes]:
    with server.target() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_settings")
        return frozenset(str(name).encode() for (name,) in cursor.fetchall())


def _client(server: Server, name: str, major: int) -> str:
    program = find_client(name, major, alike=True)
    if program is None:
        raise ClientMissing(server.location, name)
    return program


def _reader(server: Server, path: Path, major: int) -> tuple[str, int]:
    """Return a pg_restore that can read the archive *path*, and how many tables are in it.

    An archive that a newer pg_dump wrote is unreadable for that of the server's version.
    """
    with path.open("rb") as file:
        if file.read(5) != b"PGDMP":
            raise DumpUnreadable(str(path), "it is no archive of pg_dump's custom format")
    first = _client(server, "pg_restore", major)
    newest = find_client("pg_restore", 999) or first
    listed = first, _listed(first, path)
    if listed[1].returncode and newest != first:
        listed = newest, _listed(newest, path)
    program, done = listed
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise DumpUnreadable(str(path), lines[0].split("error: ")[-1])
    return program, done.stdout.count(" TABLE DATA ")


def _listed(program: str, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run((program, "-l", str(path)), capture_output=True, text=True, check=False)


def _script(path: Path, lines: Iterable[bytes], told: _Tables, server: Server) -> Iterator[bytes]:
    """Yield the *lines* of a script for psql, which may run SQL and nothing else.

    Its own commands could connect to another database, or run a program of the shell. What is set
    at the beginning is left out where the *server* does not know it.
    """
    settings, set_role = _settings(server), server.settings.set_role
    key = secrets.token_hex(16).encode()
    copying = is_whole = False
    is_head = True
    yield b"\\restrict " + key + b"\n"
    yield b"" if set_role is None else f"{set_role};\n".encode()
    try:
        for line in lines:
            if copying:
                copying = line.rstrip() != b"\\."
            elif is_head and (found := _SET.match(line)):
                if found[1] not in settings:
                    continue
            elif line.startswith((b"\\restrict ", b"\\unrestrict ")):
                continue
            elif begun := _COPY.match(line):
                copying = True
                told.begin(begun[1].decode(errors="replace"))
            elif line.startswith(_COMPLETE):
                is_whole = True
            is_head = is_head and line.startswith(_HEAD)
            yield line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DumpUnreadable(str(path), f"it cannot be unpacked: {error}") from error
    if not is_whole:
        raise DumpUnreadable(
            str(path), "it does not end as what pg_dump writes, so it is not whole"
        )
    yield b"\n\\unrestrict " + key + b"\n"


def _remedy(remedies: dict[str, str], said: ClientOutput, major: int, path: Path) -> str:
    text = "\n".join((said.reason, *said.lines))
    return next(one for key, one in remedies.items() if key in text).format(major=major, path=path)
