"""Print, for each change of the corpus, whether `alembic check` and whether `verify` tell it.

Run as `python -m tests.support.changes` with DB_OPS_TEST_BINARIES for another PostgreSQL. `verify`
is its judgement of the unchanged schema as the migrations' and the changed one as the database's. Alembic
gets the metadata reflected from the changed database, the best that models could say, and compares
it with the unchanged one; what it says of the unchanged database about itself does not count.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable

import psycopg2
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.pool import StaticPool

from db_ops.postgres.schema.objects import Schema
from db_ops.postgres.schema.reading import fingerprint, read_schema
from db_ops.settings import DatabaseUrl
from db_ops.verification.verdict import judge
from tests.conftest import with_database
from tests.support.changes import BASE, CASES
from tests.support.cluster import Cluster
from tests.support.project import query

OPTIONS = {
    "compare_server_default": True,
    "autogenerate_plugins": ["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname"],
}
SCHEMAS = {None, "billing", "spare", "extra"}


def main() -> None:
    """Start a server, judge every change on it, print a table and the sums."""
    warnings.simplefilter("ignore")
    cluster = Cluster()
    try:
        query(cluster.url, "CREATE DATABASE corpus")
        url = with_database(cluster.url, "corpus")
        query(url, BASE)
        _table(url)
    finally:
        cluster.remove()


def _table(url: str) -> None:
    parameters = DatabaseUrl.parse(url).parameters
    engine = sa.create_engine(
        "postgresql+psycopg2://",
        creator=lambda: psycopg2.connect(**parameters),
        poolclass=StaticPool,
    )
    sums: Counter[str] = Counter()
    print("| change | models can say it | alembic check | with options | verify | --quick |")
    print("|--|--|--|--|--|--|")
    with engine.connect() as connection:
        eyes = {
            "alembic check": _alembic(connection, {}),
            "with options": _alembic(connection, OPTIONS),
        }
        raw = connection.connection.driver_connection
        assert raw is not None
        before, digest = read_schema(raw), fingerprint(raw)
        connection.rollback()
        for case in CASES:
            if case.alone or case.since > before.major:
                continue
            with raw.cursor() as cursor:
                cursor.execute(case.sql)
            metadata = _reflected(connection)
            seen = {
                "verify": _judged(before, read_schema(raw)),
                "--quick": _word(fingerprint(raw) != digest),
            }
            connection.rollback()
            seen = {name: look(metadata) for name, look in eyes.items()} | seen
            sums.update(f"{name}: {word}" for name, word in seen.items())
            print("|", " | ".join((case.name, _word(case.in_models), *seen.values())), "|")
    print("\n".join(f"{name}: {number}" for name, number in sorted(sums.items())))


def _word(seen: bool) -> str:
    return "yes" if seen else "no"


def _judged(before: Schema, after: Schema) -> str:
    always = {(one.subject, one.cause) for one in judge(None, before, before).disagreements}
    verdict = judge(None, before, after)
    told = {(one.subject, one.cause) for one in verdict.disagreements} - always
    return "yes" if told else "silenced" if verdict.silenced else "no"


def _reflected(connection: sa.Connection) -> sa.MetaData:
    metadata = sa.MetaData()
    for schema in sorted(
        filter(None, SCHEMAS & {None, *sa.inspect(connection).get_schema_names()})
    ):
        metadata.reflect(connection, schema=schema)
    metadata.reflect(connection)
    return metadata


def _alembic(connection: sa.Connection, options: dict[str, object]) -> Callable[[sa.MetaData], str]:
    """Return what tells whether Alembic sees *metadata* differ from what is there."""

    def differences(metadata: sa.MetaData) -> Counter[str]:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "include_name": lambda name, kind, parents: kind != "schema" or name in SCHEMAS,
                **options,
            },
        )
        return Counter(repr(found) for found in compare_metadata(context, metadata))

    def look(metadata: sa.MetaData) -> str:
        try:
            found = differences(metadata)
        except Exception:
            return "crash"
        finally:
            connection.rollback()
        return _word(found.total() != noise)

    noise = 0
    unchanged = _reflected(connection)
    noise = differences(unchanged).total()
    connection.rollback()
    return look


if __name__ == "__main__":
    main()
