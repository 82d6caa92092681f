"""A tiny service with its own alembic.ini, models, migrations and doors, in a temporary folder."""

from __future__ import annotations

import shutil
import sys
import textwrap
import uuid
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import psycopg2
from psycopg2 import sql
from psycopg2.sql import Composable

import db_ops
from db_ops.settings import DatabaseUrl, Settings
from tests.support.doors import Outcome, command_line, forget_stale_bytecode, run

REPOSITORY = Path(__file__).parents[2]
ALEMBIC = tuple(map(int, version("alembic").split(".")[:2]))

ENV_PY = """
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from models import Base
from db_ops import run_migrations

run_migrations(Base.metadata)
"""
MODELS_HEAD = """
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    metadata = sa.MetaData(naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    })

"""
SCHEMA = """
    SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull::text
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), ''
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2, 3
"""
REVISION = '''
"""{summary}"""

import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {down_revision!r}
branch_labels = {label!r}
depends_on = {depends_on!r}


def upgrade():
{upgrade}


def downgrade():
{downgrade}
'''


class Runner(Protocol):
    """Another way to open a door of the project in *root* than a new interpreter."""

    def __call__(
        self,
        root: Path,
        env: Mapping[str, str],
        *arguments: str,
        door: str,
        cwd: Path | None,
    ) -> Outcome: ...


@dataclass
class Project:
    """One project on disk, with the database that it is pointed at."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    last_revision: str | None = None
    runner: Runner | None = None

    @property
    def url(self) -> str:
        return self.env["DATABASE_URL"]

    @url.setter
    def url(self, url: str) -> None:
        self.env["DATABASE_URL"] = url

    def run(
        self,
        *arguments: str,
        door: str = "manage_db",
        cwd: Path | None = None,
        new_interpreter: bool = False,
    ) -> Outcome:
        """Run commands, whose names are written without `db.`, in a process of their own.

        The runner forks it, and it goes through *door* as a user's does. A *new interpreter* is
        ten times as slow; it is for tests of what is imported, and when.
        """
        if self.runner and not new_interpreter:
            outcome = self.runner(self.root, self.env, *arguments, door=door, cwd=cwd)
        else:
            argv = command_line(door, arguments, self.root)
            outcome = run(argv, cwd=cwd or self.root, env=self.env)
        if "--with-password" not in arguments:
            self._check_secrecy(outcome)
        return outcome

    def prepare(self, command: str, *arguments: object, **options: object) -> object:
        """Call the function of a command in this process: quicker, for what a test builds on."""
        environment = self.env.get("DB_OPS_ENVIRONMENT")
        url = DatabaseUrl.parse(self.url)
        settings = Settings(self.root / "alembic.ini", url, declared_environment=environment)
        path = list(sys.path)
        forget_stale_bytecode(self.root)
        # Another project's, which a test may have imported in this process.
        sys.modules.pop("models", None)
        try:
            return getattr(db_ops, command)(settings, *arguments, **options)
        finally:
            sys.path[:] = path
            sys.modules.pop("models", None)

    def copy_from(self, other: Project) -> None:
        """Take over the files of *other* and, by TEMPLATE, its database, which nobody uses."""
        self.copy_files_from(other)
        names = (DatabaseUrl.parse(one.url).database for one in (self, other))
        ours, template = map(sql.Identifier, names)
        server = f"{self.url.rpartition('/')[0]}/postgres"
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(ours, template)
        mark = sql.SQL("COMMENT ON DATABASE {} IS 'db_ops environment: development'").format(ours)
        with closing(psycopg2.connect(**DatabaseUrl.parse(server).parameters)) as connection:
            connection.autocommit = True
            # Files are copied in a third of the time that it takes to log their pages.
            quick = connection.info.server_version >= 150000
            with connection.cursor() as cursor:
                cursor.execute(copy + sql.SQL(" STRATEGY FILE_COPY" if quick else ""))
                cursor.execute(mark)

    def copy_files_from(self, other: Project) -> None:
        """Take over the models, the env.py and the revisions of *other*."""
        shutil.copy2(other.root / "models.py", self.root)
        shutil.copytree(
            other.root / "alembic",
            self.root / "alembic",
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        self.last_revision = other.last_revision

    def alembic(self, *arguments: str) -> Outcome:
        """Run the plain `alembic` command."""
        return self.run(*arguments, door="alembic")

    def _check_secrecy(self, outcome: Outcome) -> None:
        try:
            password = urlsplit(self.env.get("DATABASE_URL", "")).password
        except ValueError:
            return
        for secret in filter(None, (password, unquote(password or ""))):
            if len(secret) > 3:
                assert secret not in outcome.out + outcome.err

    def models(self, source: str) -> None:
        """Write the models; *source* goes below a `Base` with a naming convention."""
        (self.root / "models.py").write_text(MODELS_HEAD + textwrap.dedent(source))

    def revision(
        self,
        revision: str,
        upgrade: str = "pass",
        downgrade: str = "pass",
        *,
        summary: str = "",
        down_revision: str | tuple[str, ...] | None = "last",
        label: str | None = None,
        depends_on: str | tuple[str, ...] | None = None,
    ) -> Path:
        """Write a revision file on top of the one before, or of *down_revision*."""
        path = self.root / "alembic" / "versions" / f"{revision}.py"
        path.write_text(
            REVISION.format(
                summary=summary or f"revision {revision}",
                revision=revision,
                down_revision=self.last_revision if down_revision == "last" else down_revision,
                label=label,
                depends_on=depends_on,
                upgrade=textwrap.indent(textwrap.dedent(upgrade).strip(), "    "),
                downgrade=textwrap.indent(textwrap.dedent(downgrade).strip(), "    "),
            )
        )
        self.last_revision = revision
        return path

    def table(self, revision: str, table: str) -> Path:
        """Write a revision that creates *table* with one column."""
        return self.revision(
            revision,
            f"op.execute('CREATE TABLE {table} (id integer PRIMARY KEY)')",
            f"op.execute('DROP TABLE {table}')",
            summary=f"create {table}",
        )

    @property
    def revision_files(self) -> list[Path]:
        return sorted((self.root / "alembic" / "versions").glob("*.py"))

    @property
    def newest_file(self) -> Path:
        """The revision file written last: names say the minute, then an id."""
        return max(self.revision_files, key=lambda path: path.stat().st_mtime_ns)

    def query(self, statement: str, *arguments: object) -> list[tuple[object, ...]]:
        """Run one statement on the project's database and return its rows, if it has any."""
        return query(self.url, statement, *arguments)

    def fingerprint(self) -> list[tuple[object, ...]]:
        """Return what any write to the schema, the version table or the mark would change."""
        schema = self.query(
            "SELECT 'class', oid::text, xmin::text FROM pg_class"
            " UNION ALL SELECT 'column', attrelid || '.' || attnum, xmin::text FROM pg_attribute"
            " UNION ALL SELECT 'comment', oid::text, shobj_description(oid, 'pg_database')"
            " FROM pg_database WHERE datname = current_database() ORDER BY 1, 2"
        )
        if "alembic_version" not in self.tables:
            return schema
        return schema + self.query(
            "SELECT version_num, xmin::text, ctid::text FROM alembic_version"
        )

    def schema(self) -> list[tuple[object, ...]]:
        """Return the tables and their columns, types and constraints, without internal numbers."""
        return self.query(SCHEMA)

    @property
    def tables(self) -> list[str]:
        rows = self.query(
            "SELECT relname FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        return sorted(str(row[0]) for row in rows)


def query(url: str, statement: str | Composable, *arguments: object) -> list[tuple[object, ...]]:
    """Run one statement in autocommit mode and return its rows, if it has any."""
    connection = psycopg2.connect(**DatabaseUrl.parse(url).parameters)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement, arguments or None)
            return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()


def make_project(root: Path, url: str, runner: Runner | None = None) -> Project:
    """Write a project without models or revisions that uses the database at *url*."""
    (root / "alembic" / "versions").mkdir(parents=True)
    (root / "scripts").mkdir()
    for name in ("alembic.ini", "alembic/script.py.mako", "scripts/manage_db.py"):
        shutil.copy(REPOSITORY / name, root / name)
    with (root / "alembic.ini").open("a") as ini:
        # No other test's template is one of this project.
        ini.write(f"# {uuid.uuid4().hex}\n")
    (root / "tasks.py").write_text(
        "from invoke.collection import Collection\n"
        "from db_ops.cli import collection as db\n"
        "namespace = Collection(db)\n"
    )
    (root / "alembic" / "env.py").write_text(ENV_PY)
    # What costs time behind a command, or room, has tests of its own.
    off = {"DB_OPS_SPARE": "0", "DB_OPS_UNDO": "0"}
    env = {"DATABASE_URL": url, "XDG_CACHE_HOME": str(root / "cache"), **off}
    project = Project(root, env, runner=runner)
    project.models("")
    return project
