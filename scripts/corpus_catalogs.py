"""What migrations leave under our commands, beside what they leave under the plain command.

For a project of the corpus, the plain command fills a database that was made by hand, twice: what
these two differ in, as identifiers and times, is left out. What is compared is what `pg_dump` says
of the schema with owners, privileges and comments, settings of the database, sequences, how many
rows a table has and what is in its columns; and, of a revision that is added for that, what it sees
of its session. Our records and our mark are left out.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2 import sql

from tests.support.session_settings import OURS

if TYPE_CHECKING:
    from scripts.corpus import Result, Walk, Workplace

CELL = "as alembic"
_SHOWN = 6
_ROW = "corpus_row"
_OUR_MARK = re.compile(r"(?m)^db_ops environment: .*$\n?")
# A dump says them with a word that is new each time.
_RESTRICTED = re.compile(r"(?m)^\\(un)?restrict .*$\n?")
_OF_DATABASE = """
    SELECT 'owner', pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()
    UNION ALL SELECT 'privileges', datacl::text FROM pg_database
        WHERE datname = current_database() AND datacl IS NOT NULL
    UNION ALL SELECT 'encoding and locale',
        concat_ws(' ', pg_encoding_to_char(encoding), datcollate, datctype, datconnlimit,
            datistemplate, datallowconn, dattablespace)
        FROM pg_database WHERE datname = current_database()
    UNION ALL SELECT 'comment', shobj_description(oid, 'pg_database') FROM pg_database
        WHERE datname = current_database()
    UNION ALL SELECT 'setting of ' || setrole, setconfig::text FROM pg_db_role_setting s
        JOIN pg_database d ON d.oid = s.setdatabase WHERE datname = current_database()
    UNION ALL SELECT 'setting of all ' || setrole::regrole, setconfig::text
        FROM pg_db_role_setting WHERE setdatabase = 0
    UNION ALL SELECT 'extension ' || extname, extversion FROM pg_extension
    UNION ALL SELECT 'index that is not valid', indexrelid::regclass::text FROM pg_index
        WHERE NOT (indisvalid AND indisready AND indislive)
    UNION ALL SELECT 'sequence ' || quote_ident(schemaname) || '.' || quote_ident(sequencename),
        coalesce(last_value::text, 'not called') FROM pg_sequences
        WHERE schemaname <> 'db_ops'
    UNION ALL SELECT 'large objects', count(*)::text FROM pg_largeobject_metadata
    UNION ALL SELECT 'role ' || rolname, concat_ws(' ', rolsuper, rolinherit, rolcreaterole,
        rolcreatedb, rolcanlogin, rolreplication, rolbypassrls) FROM pg_roles
        WHERE rolname !~ '^pg_'
"""
_TABLES = """
    SELECT n.nspname, c.relname, array(SELECT attname::text FROM pg_attribute a
        WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum)
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'm') AND (relkind = 'r' OR relispopulated)
      AND nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'db_ops')
"""
# Of what is seen from Python, what was typed and where the ini is.
_OURS = OURS | {
    "python: ini",
    "python: logs",
    "python: main options",
    "python: typed",
}
_OBSERVER = '''
import logging
import os

import sqlalchemy as sa
from alembic import context, op

revision = {revision!r}
down_revision = {parent!r}
branch_labels = depends_on = None
SEEN = """
    SELECT name, setting FROM pg_settings WHERE name NOT LIKE 'plpgsql.%'
    UNION ALL SELECT 'schemas', current_schemas(true)::text
    UNION ALL SELECT 'roles', concat_ws(' ', current_user, session_user)
"""


def upgrade():
    connection = op.get_bind()
    op.execute(
        "CREATE TABLE IF NOT EXISTS public.corpus_seen (revision text, name text, value text)"
    )
    seen = dict(connection.execute(sa.text(SEEN)).all())
    one = connection.scalar(sa.text("SELECT pg_current_xact_id()::text"))
    two = connection.scalar(sa.text("SELECT pg_current_xact_id()::text"))
    configured = op.get_context()
    options = configured.opts
    seen |= {{
        "in a transaction": one == two,
        "python: in a transaction": connection.in_transaction(),
        "python: nested": connection.in_nested_transaction(),
        "python: isolation": connection.get_isolation_level(),
        "python: default isolation": connection.default_isolation_level,
        "python: autocommit": getattr(connection.connection.driver_connection, "autocommit", None),
        "python: driver": connection.dialect.driver,
        "python: class": type(connection.connection.driver_connection).__name__,
        "python: default schema": connection.dialect.default_schema_name,
        "python: inspected schema": sa.inspect(connection).default_schema_name,
        "python: execution options": sorted(connection.get_execution_options()),
        "python: engine": connection.engine.url.drivername,
        "python: database": connection.engine.url.host,
        "python: bound": op.get_bind() is configured.connection,
        "python: offline": context.is_offline_mode(),
        "python: options": sorted(map(str, options)),
        "python: function": options["fn"].__name__,
        "python: x": sorted(context.get_x_argument(as_dictionary=True)),
        "python: main options": context.config.get_section(context.config.config_ini_section),
        "python: ini": context.config.config_file_name,
        "python: typed": str(getattr(context.config.cmd_opts, "revision", None)),
        "python: folder": os.getcwd(),
        "python: variables": sorted(k for k in os.environ if not k.startswith("DB_OPS")),
        "python: logs": logging.getLogger("alembic.runtime.migration").getEffectiveLevel(),
        "python: metadata": str(type(options.get("target_metadata"))),
        "python: version table": (configured.version_table, configured.version_table_schema),
        "python: row count": connection.execute(
            sa.text("UPDATE public.corpus_seen SET value = value WHERE revision = :r"),
            {{"r": revision}},
        ).rowcount,
    }}
    for name, value in seen.items():
        connection.execute(
            sa.text("INSERT INTO public.corpus_seen VALUES (:r, :n, :v)"),
            {{"r": revision, "n": name, "v": str(value)}},
        )
    connection.execute(
        sa.text("INSERT INTO public.corpus_seen VALUES (:r, 'xid', :v)"),
        {{"r": revision, "v": one}},
    )
    with configured.autocommit_block():
        op.execute(
            "INSERT INTO public.corpus_seen SELECT '" + revision + "', 'committed by itself', "
            "(pg_current_xact_id()::text <> '" + one + "')::text"
        )
    after = connection.scalar(sa.text("SELECT pg_current_xact_id()::text"))
    again = connection.scalar(sa.text("SELECT pg_current_xact_id()::text"))
    connection.execute(
        sa.text("INSERT INTO public.corpus_seen VALUES (:r, 'after autocommit', :v)"),
        {{"r": revision, "v": str(after == again)}},
    )


def downgrade():
    op.execute("DELETE FROM public.corpus_seen WHERE revision = '" + revision + "'")
'''


Left = dict[str, str]


@dataclass
class Sides:
    """Compares what is left with what the plain command has left at that moment.

    It is run a second time only where something differs: what it does not leave alike itself, as
    times and random identifiers, counts for nothing.
    """

    walk: Walk
    plain: dict[str, list[Left]] = field(default_factory=dict)
    left: list[tuple[str, str, Left]] = field(default_factory=list)

    @property
    def place(self) -> Workplace:
        return self.walk.place

    def expect(self, moment: str, left: Left | None = None) -> None:
        """Note what the plain command has left."""
        self.plain.setdefault(moment, []).append(left or left_in(self.place))

    def compare(self, what: str, moment: str, left: Left | None = None) -> None:
        """Note what *what* has left, which is to be as the plain command's at *moment*."""
        self.left.append((what, moment, left or left_in(self.place)))

    @property
    def differ(self) -> bool:
        return any(different(left, self.plain[moment][0]) for _, moment, left in self.left)

    def settle(self) -> None:
        """Say what differs, and forget it."""
        for what, moment, ours in self.left:
            one, two = self.plain[moment][0], self.plain[moment][-1]
            unlike = different(one, two)
            found = sorted(different(ours, one) - unlike)
            if found:
                shown = "; ".join(" ".join(name.split())[:90] for name in found[:_SHOWN])
                self.walk.say(CELL, f"{what}: {len(found)} differ: {shown}")
            self.note(f"== {what}, as the plain {moment}: {len(found)} of {len(ours)} differ")
            for name in sorted(unlike):
                self.note(f"    unlike in two plain runs: {name[:200]}")
            for name in found:
                self.note(f"{name}\n    ours: {ours.get(name)}\n    plain: {one.get(name)}")
        self.left.clear()

    def ours(self, what: str, *words: str) -> bool:
        """Run a command of ours; False if it fails."""
        return self._worked(what, self.place.ours(*words))

    def in_production(self, what: str, *words: str) -> bool:
        place = self.place
        options = shlex.split(place.filled(place.project.options))
        variables = ("env", "DB_OPS_ENVIRONMENT=production", "DB_OPS_MIGRATION_LOCK_TIMEOUT=60")
        return self._worked(what, place.run(*variables, "db-ops", *options, *words))

    def plainly(self, what: str, *words: str) -> bool:
        """Run the plain command; False if it fails, which is not ours."""
        result = self.place.plain(*words)
        self.walk.log(f"{what}: the plain {shlex.join(words)}", result)
        if result.code:
            self.note(f"{what}, plain {shlex.join(words)}: exit {result.code}: {result.problem}")
        return result.code == 0

    def _worked(self, what: str, result: Result) -> bool:
        self.walk.log(what, result)
        if result.code:
            self.walk.say(CELL, f"{what}: exit {result.code}: {result.problem}")
            self.note(f"{what}: exit {result.code}: {result.problem}")
        return result.code == 0

    def note(self, text: str) -> None:
        with (self.place.home / "catalogs.txt").open("a") as file:
            file.write(f"{text}\n")


def compare_with_alembic(walk: Walk) -> None:
    """Migrate by the plain command and by each of ours; the cell says what is not the same."""
    place = walk.place
    sides = Sides(walk)
    (place.home / "catalogs.txt").unlink(missing_ok=True)
    walk.say(CELL, "ok")
    branch = shlex.split(place.project.first_reverted) or shlex.split(place.project.branch)
    if not _plain_life(sides, branch):
        walk.say(CELL, "the plain command fails")
        return
    if "again" in sides.plain:
        # What it left at the step before, we go on from.
        _to_one_before(sides, branch)
        if sides.ours("upgrade of what is the plain command's", "upgrade"):
            sides.compare("upgrade of what is the plain command's", "again")
    drop(place)
    if sides.ours("init --from-migrations", "init", "--from-migrations"):
        sides.compare("init --from-migrations", "upgrade")
        _back_and_again(sides, branch)
    for what, *words in _WAYS:
        if words[0] == "init":
            drop(place)
        if sides.ours(what, *words):
            sides.compare(what, "upgrade")
    if sides.ours("snapshot", "snapshot", CELL.replace(" ", "-")):
        sides.ours("downgrade", "downgrade", "-s", "1", *branch)
        if sides.ours("restore", "restore", CELL.replace(" ", "-")):
            sides.compare("restore", "upgrade")
    drop(place)
    if sides.in_production("init in production", "init"):
        sides.compare("init in production", "upgrade")
        _back_and_again(sides, branch, production=True)
    if sides.differ and not _plain_life(sides, branch):
        walk.say(CELL, "the plain command fails the second time")
    sides.settle()
    _observe(sides)
    sides.settle()
    drop(place)


# The first is without a template, the second a copy of what that has left.
_WAYS = (
    ("recreate that makes a template", "recreate"),
    ("recreate from a template", "recreate"),
    ("init from a template", "init"),
    ("recreate --from-migrations", "recreate", "--from-migrations"),
)


def _back_and_again(sides: Sides, branch: list[str], *, production: bool = False) -> None:
    """Revert the newest migration and apply it again; in development, revert all as well."""
    run = sides.in_production if production else sides.ours
    where, more = (
        (" in production", ("--confirm", sides.place.database)) if production else ("", ())
    )
    if "again" not in sides.plain or not run(
        f"downgrade{where}", "downgrade", "-s", "1", *branch, *more
    ):
        return
    sides.compare(f"downgrade{where}", "downgrade")
    if run(f"upgrade{where}", "upgrade"):
        sides.compare(f"upgrade{where}", "again")
    if production or "from base" not in sides.plain:
        return
    if run("downgrade to base", "downgrade", "-s", "base"):
        sides.compare("downgrade to base", "base")
        if run("upgrade from base", "upgrade"):
            sides.compare("upgrade from base", "from base")


def _plain_life(sides: Sides, branch: list[str]) -> bool:
    """Run the plain command in a database made by hand: up, down and up again, down to nothing."""
    place = sides.place
    drop(place)
    create(place)
    if not _bootstrapped(sides) or not _plain_upgrade(sides):
        return False
    sides.expect("upgrade")
    if sides.plainly("one back", "downgrade", _one_back(branch)):
        sides.expect("downgrade")
        if _plain_upgrade(sides):
            sides.expect("again")
            if not place.project.settings and sides.plainly("all back", "downgrade", "base"):
                sides.expect("base")
                if _plain_upgrade(sides):
                    sides.expect("from base")
    return True


def _to_one_before(sides: Sides, branch: list[str]) -> None:
    drop(sides.place)
    create(sides.place)
    _bootstrapped(sides)
    _plain_upgrade(sides)
    sides.plainly("one back", "downgrade", _one_back(branch))


def _one_back(branch: list[str]) -> str:
    return f"{branch[-1]}@-1" if branch else "-1"


def _plain_upgrade(sides: Sides) -> bool:
    if sides.plainly("up", "upgrade", "heads"):
        return True
    # Where env.py takes one branch at a time.
    labels = re.findall(r"\((\w+)\) \(head\)", sides.place.plain("heads").out)
    return bool(labels) and all(sides.plainly("up", "upgrade", f"{label}@head") for label in labels)


_BOOTSTRAP = """
import importlib, inspect, sys
import sqlalchemy as sa
module, _, name = sys.argv[1].partition(":")
sys.path.insert(0, ".")
function = getattr(importlib.import_module(module), name)
with sa.create_engine(sys.argv[2]).begin() as connection:
    print("stamp", function(connection) or "")
"""


def _bootstrapped(sides: Sides) -> bool:
    """Make what the revisions rest on, as our setting `bootstrap` does."""
    place = sides.place
    found = re.search(r'(?m)^bootstrap = "(.+)"$', place.project.settings)
    if not found:
        return True
    url = place.filled("postgresql+psycopg2://{location}")
    result = place.run("python", "-c", _BOOTSTRAP, found[1], url, ours=False)
    sides.walk.log("bootstrap", result)
    if result.code:
        return False
    stamped = re.findall(r"(?m)^stamp (\w+)$", result.out)
    return not stamped or sides.plainly("bootstrap", "stamp", *stamped)


def _observe(sides: Sides) -> None:
    """Compare what revisions see of their session."""
    place = sides.place
    written = _write_observers(place)
    if not written:
        sides.note("no observers: the heads cannot be listed")
        return
    try:
        drop(place)
        create(place)
        if not _bootstrapped(sides) or not _plain_upgrade(sides):
            sides.note("no observers: the plain command fails with them")
            return
        if place.sql("SELECT to_regclass('public.corpus_seen')::text") == [(None,)]:
            sides.note("no observers: the project's bootstrap stamps them as well")
            return
        sides.expect("observed", _observed(place))
        drop(place)
        if sides.ours("seen in init", "init", "--from-migrations"):
            sides.compare("seen in init", "observed", _observed(place))
        drop(place)
        if not sides.in_production("seen in init in production", "init"):
            return
        sides.compare("seen in init in production", "observed", _observed(place))
        if sides.in_production(
            "downgrade", "downgrade", "-s", "2", "--confirm", place.database
        ) and sides.in_production("seen in upgrade", "upgrade"):
            sides.compare("seen in upgrade", "observed", _observed(place))
    finally:
        for path in written:
            path.unlink()


def _write_observers(place: Workplace) -> list[Path]:
    """Add two revisions after the first head, which write down what they see."""
    result = place.plain("heads", "--verbose")
    found = re.search(r"(?ms)^Rev: (\S+).*?^Path: (.+?)$", result.out)
    if not found:
        return []
    parent, folder = found[1], Path(found[2]).parent
    written = []
    for name in ("corpus_seen_1", "corpus_seen_2"):
        path = folder / f"{name}.py"
        path.write_text(_OBSERVER.format(revision=name, parent=parent))
        written.append(path)
        parent = name
    return written


def _observed(place: Workplace) -> Left:
    rows = place.sql("SELECT revision, name, value FROM public.corpus_seen")
    seen = {f"{revision}: {name}": value for revision, name, value in rows if name not in _OURS}
    ids = [seen.pop(f"corpus_seen_{number}: xid", "") for number in (1, 2)]
    return {**seen, "both in one transaction": str(ids[0] == ids[1])}


def create(place: Workplace) -> None:
    """Create the database as somebody with psql does."""
    place.maintain(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(place.database)))


def drop(place: Workplace) -> None:
    name = sql.Identifier(place.database)
    place.maintain(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))


def different(one: Left, other: Left) -> set[str]:
    """Return the names of what is not the same in both."""
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


def left_in(place: Workplace) -> Left:
    """Return what the project's database holds, but what is ours."""
    url = place.filled("{url}")
    found: Left = {}
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(_OF_DATABASE)
        for name, value in cursor.fetchall():
            text = _OUR_MARK.sub("", value or "") if name == "comment" else value or ""
            if text:
                found[f"{name} = {text}" if name.startswith("index") else name] = text
        cursor.execute(_TABLES)
        for schema, table, columns in cursor.fetchall():
            found |= _rows(cursor, schema, table, columns)
    dump = subprocess.run(
        [
            place.server.binaries / "pg_dump",
            "--schema-only",
            "--exclude-schema=db_ops",
            f"--dbname={url}",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for statement in re.split(r"\n\n+", _RESTRICTED.sub("", dump)):
        lines = [line for line in statement.splitlines() if not line.startswith("--")]
        if text := "\n".join(lines).strip():
            found[text] = str(int(found.get(text, "0")) + 1)
    return found


def _rows(cursor: Any, schema: str, table: str, columns: list[str]) -> Left:
    """Return how many rows a table has, and of each column and of whole rows a digest."""
    name = f"{schema}.{table}"
    digest = sql.SQL("md5(string_agg(md5({0}::text), '' ORDER BY md5({0}::text)))")
    every = [sql.Identifier(_ROW, column) for column in columns] + [sql.Identifier(_ROW)]
    query = sql.SQL("SELECT count(*), {} FROM {} {}").format(
        sql.SQL(", ").join(map(digest.format, every)),
        sql.Identifier(schema, table),
        sql.Identifier(_ROW),
    )
    cursor.execute(query)
    count, *digests = cursor.fetchone()
    keys = [*(f"column {name}.{column}" for column in columns), f"rows {name}"]
    values = {key: value for key, value in zip(keys, digests, strict=True) if value}
    return {f"count {name}": str(count), **values}
