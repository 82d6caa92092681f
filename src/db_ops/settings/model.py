"""The settings of one project, frozen; the only owner of their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from db_ops.errors.quote_ident import in_quotes
from db_ops.frozen_data import FrozenData, field, replace
from db_ops.settings.url import DatabaseUrl
from db_ops.settings.variables import MIGRATION_URL

if TYPE_CHECKING:
    from db_ops.settings.branch_database import BranchDatabases
    from db_ops.settings.fleet import FleetSettings

DEVELOPMENT = "development"
TEST = "test"
DISPOSABLE = (DEVELOPMENT, TEST)
PRODUCTION = "production"
# Other names for the two: any name is allowed, and all others are protected.
_MEANT = {
    **dict.fromkeys(("dev", "devel", "develop", "developement", "local"), DEVELOPMENT),
    **dict.fromkeys(("testing", "tests", "unittest"), TEST),
}
EMBEDDED_DATABASE = "app"
TEST_DATABASE = "test"
# Our own records live in this schema of the target; it is never part of a service's own.
RECORDS_SCHEMA = "db_ops"


class Settings(FrozenData):
    """Everything an operation needs to know; durations are seconds.

    Parameters
    ----------
    alembic_ini: path of the project's `alembic.ini`, or of the `pyproject.toml` that stands in for
        it; its folder is the project's root unless `folder` names another.
    url: the database; None means what the project's env.py would connect to or, if env.py is of
        `db_ops`, `app` on the project's embedded server, which only `development` and `test` may
        use (`MissingDatabaseUrl` elsewhere).
    declared_environment: None derives it: `development` for the embedded server, a loopback
        address or a Unix socket, `production` for everything else, because an unknown remote
        database must be presumed precious.
    maintenance_database: where CREATE and DROP DATABASE are sent from; None tries the target
        itself, then `postgres`, then `defaultdb`.
    connect_timeout: one attempt to connect.
    wait_timeout: all attempts together, for a server that is starting; None is 30 for `init`,
        `upgrade` and `recreate`, which a deployment starts beside its server, and 1 for the others.
    migration_lock_timeout: waiting for another process that migrates this database.
    lock_timeout: how long a statement of a migration may hold up others while it waits for a lock.
    lock_retries: how often a revision that met `lock_timeout` is run again.
    statement_timeout: one statement of a migration; 0 is no limit.
    spare: keep a migrated database ready for the next `recreate`, made by a process behind it.
    records: record in the target, in a schema of our own, which revision was applied when, by whom.
    ahead_is_different: a database that is ahead of this checkout makes `status --check` and
        `verify` exit with 3.
    squawk: have squawk look at the statements of migrations that are planned or created.
    user_cache: folder for what may be deleted, where the project has none of the embedded server.
    folder: the project's root.
    section: section of `alembic.ini` that is meant, as Alembic's `--name`.
    x: arguments for env.py, as Alembic's `-x`.
    flask_app: the Flask application of an env.py that needs one, as Flask's `--app`; None leaves it
        to FLASK_APP, or `wsgi.py` or `app.py`.
    url_env: name of the variable for the URL, where the project has named one.
    url_from: `module:attribute.attribute`, where the project's own settings hold the URL.
    models: modules that are imported before env.py is run, where it does not import all models.
    bootstrap: `module:function` that makes the schema which the first revision rests on, where the
        history does not start from an empty database.
    seed: what writes rows to work with, in this order: `module:function`, or a path of an SQL file.
    schema_file: path of a file below `root` that holds the schema which the migrations make.
    in_ci: whether this is a machine that builds and tests, as its variable `CI` says.
    embedded: use the embedded server, whatever the project's env.py would connect to.
    sources: where each of these came from, for people.
    notes: what was seen beside the settings and has no effect: misspelt variables, for people.
    scratch_url: a server of the same major version on which databases to look at are built and
        dropped again; None is the target's own, but an embedded one beside a protected target.
    application_url: where the application connects to, if `url` is for migrations alone; None if
        both are one, or nothing says where it does.
    role: the role that the database and what is in it belong to: each session takes it by SET ROLE.
    soft_reset: `recreate` empties the database of what the role owns, and does not replace it.
    undo: keep for `undo` what a command replaces or drops; see `keeps_undo`.
    undo_limit_mb: how large a database may be to be kept so, in millions of bytes.
    database_per_branch: in development, each git branch has a database of its own; a string names
        the branch that keeps the one of the URL, else that is the default branch.
    branch: what names those databases, where each branch has its own and `url` leads to it.
    fleet: where the databases are on which `fleet` works, if the project says so.
    schema: of several schemas with the same tables and a version table each, the one meant.
    version_table_schema: the schema of the version table; None leaves it to env.py and Alembic's
        configuration.
    fingerprints: record after a migration what the catalogs are.
    server_home: folder of the embedded server, where it is not that of this working tree.
    variables: those of the environment that tell env.py which member of a fleet is meant.
    """

    alembic_ini: Path
    url: DatabaseUrl | None = None
    declared_environment: str | None = None
    maintenance_database: str | None = None
    connect_timeout: float = 5.0
    wait_timeout: float | None = None
    migration_lock_timeout: float = 300.0
    lock_timeout: float = 4.0
    lock_retries: int = 10
    statement_timeout: float = 0.0
    spare: bool = False
    records: bool = True
    squawk: bool = False
    ahead_is_different: bool = False
    user_cache: Path | None = None
    folder: Path | None = None
    section: str = "alembic"
    x: tuple[str, ...] = ()
    flask_app: str | None = None
    url_env: str | None = None
    url_from: str | None = None
    models: tuple[str, ...] = ()
    bootstrap: str | None = None
    seed: tuple[str, ...] = ()
    schema_file: str | None = None
    in_ci: bool = False
    embedded: bool = False
    sources: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    notes: tuple[str, ...] = field(default=(), compare=False, repr=False)
    scratch_url: DatabaseUrl | None = None
    application_url: DatabaseUrl | None = None
    role: str | None = None
    soft_reset: bool = False
    undo: bool = False
    undo_limit_mb: int = 2000
    database_per_branch: bool | str = False
    branch: BranchDatabases | None = field(default=None, compare=False, repr=False)
    fleet: FleetSettings | None = field(default=None, compare=False, repr=False)
    schema: str | None = None
    version_table_schema: str | None = None
    fingerprints: bool = True
    server_home: Path | None = None
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def root(self) -> Path:
        return self.folder or self.alembic_ini.parent

    @property
    def embedded_home(self) -> Path:
        return self.server_home or self.root / ".db_ops"

    @property
    def cache_folder(self) -> Path | None:
        """Where the index of the revision files is kept, if anywhere."""
        home = self.embedded_home
        return home if home.is_dir() else self.user_cache

    @property
    def cluster_cache(self) -> Path | None:
        """Where a new embedded cluster is kept for the next project; nobody comes for it in CI."""
        return None if self.in_ci else self.user_cache

    @property
    def database(self) -> str:
        if self.url is not None:
            return self.url.database
        return EMBEDDED_DATABASE if self.branch is None else self.branch.current

    @property
    def environment(self) -> str:
        if self.declared_environment is not None:
            return self.declared_environment
        local = all(one.is_local() for one in (self.url, self.application_url) if one is not None)
        return DEVELOPMENT if local else PRODUCTION

    @property
    def lacks_application_url(self) -> bool:
        """Whether the URL for migrations is known, and that of the application is not yet."""
        is_for_migrations = self.url is not None and self.url.source == MIGRATION_URL
        return is_for_migrations and self.application_url is None

    @property
    def set_role(self) -> str | None:
        """The statement with which a session takes the role, None where none is named."""
        return None if self.role is None else f"SET ROLE {in_quotes(self.role)}"

    @property
    def set_schema(self) -> str | None:
        """The statement with which a session looks into `schema`, None where env.py chooses it."""
        if self.schema is None or self.version_table_schema is None:
            return None
        return f"SET search_path = {in_quotes(self.schema)}"

    def of_application(self) -> Settings:
        """Return the settings to connect with as the application does."""
        url = self.application_url or self.url
        return replace(self, url=url, application_url=None, role=None)

    @property
    def environment_for_people(self) -> str:
        """Name the environment, and the one that its name may have been meant for."""
        meant = _MEANT.get(self.environment)
        if meant is None:
            return self.environment
        return f"{self.environment}, which is protected; did you mean {meant}?"

    def alembic_options(self) -> tuple[str, ...]:
        """Return what the plain `alembic` command needs, here, to read the same configuration."""
        here = Path.cwd()
        options: list[str] = []
        if self.alembic_ini not in (here / "alembic.ini", here / "pyproject.toml"):
            within = self.alembic_ini.is_relative_to(here)
            options += [
                "-c",
                str(self.alembic_ini.relative_to(here) if within else self.alembic_ini),
            ]
        if self.section != "alembic":
            options += ["-n", self.section]
        for argument in self.x:
            options += ["-x", argument]
        return tuple(options)

    @property
    def writes_schema_file(self) -> bool:
        """Tell whether commands that change the migrations write the schema file, if one is named.

        Where people write migrations, and see it in their next commit.
        """
        developed = self.environment == DEVELOPMENT and not self.in_ci
        return self.schema_file is not None and developed

    @property
    def keeps_undo(self) -> bool:
        """Tell whether what is replaced or dropped is kept for `undo`, where people develop."""
        return self.undo and self.undo_limit_mb > 0 and self.is_disposable and not self.in_ci

    @property
    def is_disposable(self) -> bool:
        """Tell whether this environment's databases may lose their data without being asked."""
        return self.environment in DISPOSABLE
