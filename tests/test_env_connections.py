"""What an env.py of somebody else's connects to by itself, while it is only looked at."""

from __future__ import annotations

from pathlib import Path

from tests.support.foreign import KINDS, ForeignProject, copy_project
from tests.support.launcher import Launcher
from tests.support.project import query

WRITES = "CREATE SCHEMA IF NOT EXISTS noted; CREATE TABLE IF NOT EXISTS noted.by{} (n int)"
_BY_NAME = {kind.name: kind for kind in reversed(KINDS)}
_SYNC = {
    "raw_connection": """
    raw = connectable.raw_connection()
    raw.cursor().execute(WRITES)
    raw.commit()
    raw.close()
""",
    "pool": """
    raw = connectable.pool.connect()
    raw.cursor().execute(WRITES)
    raw.commit()
    raw.close()
""",
    "exec_driver_sql": """
    with connectable.begin() as connection:
        connection.exec_driver_sql(WRITES)
""",
    "session": """
    from sqlalchemy import text
    from sqlalchemy.orm import Session
    with Session(connectable) as session:
        session.execute(text("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE"))
        session.execute(text(WRITES))
        session.commit()
""",
    "creator": """
    import psycopg2
    from sqlalchemy import create_engine
    mine = create_engine("postgresql+psycopg2://", creator=lambda: psycopg2.connect(URL))
    with mine.begin() as connection:
        connection.exec_driver_sql(WRITES)
""",
    "psycopg2": """
    import psycopg2
    with psycopg2.connect(URL) as direct, direct.cursor() as cursor:
        cursor.execute(WRITES)
""",
    "psycopg": """
    import psycopg
    with psycopg.connect(URL) as direct:
        direct.execute(WRITES)
""",
    "engine of psycopg": """
    from sqlalchemy import create_engine
    raw = create_engine(URL.replace("postgresql:", "postgresql+psycopg:")).raw_connection()
    raw.execute(WRITES)
    raw.commit()
    raw.close()
""",
}
_ASYNC = {
    "connection": """
    async with connectable.connect() as connection:
        raw = await connection.get_raw_connection()
        await raw.driver_connection.execute(WRITES)
""",
    "raw_connection": """
    raw = await connectable.raw_connection()
    await raw.driver_connection.execute(WRITES)
    raw.close()
""",
    "asyncpg": """
    import asyncpg
    direct = await asyncpg.connect(URL)
    async with direct.transaction():
        await direct.execute(WRITES)
    assert await direct.fetchval("SELECT true")
    await direct.close()
""",
    "pool of asyncpg": """
    import asyncpg
    async with asyncpg.create_pool(URL, min_size=1) as pool_, pool_.acquire() as direct:
        await direct.execute(WRITES)
""",
    "psycopg": """
    import psycopg
    async with await psycopg.AsyncConnection.connect(URL) as direct:
        async with direct.cursor() as cursor:
            await cursor.execute(WRITES)
""",
}


def project_that(
    tmp_path: Path, url: str, name: str, ways: dict[str, str], before: str, launcher: Launcher
) -> ForeignProject:
    """A project whose env.py writes in all *ways*, *before* it does what others do."""
    project = copy_project(_BY_NAME[name], tmp_path / "project", url, launcher)
    head = f"URL = {url!r}\n\n\n"
    imports = "from alembic import context\n"
    project.edit("alembic/env.py", imports, head + imports)
    written = "".join(
        way.replace("WRITES", repr(WRITES.format(number)))
        for number, way in enumerate(ways.values())
    )
    project.edit("alembic/env.py", before, f"{written}\n{before}")
    return project


def noted(project: ForeignProject) -> int:
    """Return in how many ways env.py has written."""
    found = query(project.url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'noted'")
    return int(str(found[0][0]))


def test_looking_writes_nothing_whatever_way_env_py_writes(
    tmp_path: Path, new_database_url: str, launcher: Launcher
) -> None:
    before = "    with connectable.connect() as connection:\n        context.configure"
    project = project_that(tmp_path, new_database_url, "ini_url", _SYNC, before, launcher)
    _looks_and_runs(project, len(_SYNC))


def test_looking_writes_nothing_whatever_way_an_async_env_py_writes(
    tmp_path: Path, new_database_url: str, launcher: Launcher
) -> None:
    before = (
        "    async with connectable.connect() as connection:\n        await connection.run_sync"
    )
    project = project_that(tmp_path, new_database_url, "async_asyncpg", _ASYNC, before, launcher)
    _looks_and_runs(project, len(_ASYNC))


def _looks_and_runs(project: ForeignProject, ways: int) -> None:
    assert project.run("doctor").code == 0
    project.run("init").succeeded()
    # To apply revisions is what `init` is for: env.py has its way there, in our database.
    assert noted(project) == ways
    query(project.url, "DROP SCHEMA noted CASCADE")
    for command in ("doctor", "verify"):
        outcome = project.run(command)
        assert outcome.code in (0, 3), outcome.out + outcome.err
        assert noted(project) == 0, command
