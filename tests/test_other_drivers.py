"""An env.py whose engine has another driver, a creator of its own, or an event loop elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.foreign import KINDS, ForeignProject, copy_project
from tests.support.launcher import Launcher
from tests.support.project import query

_BY_NAME = {kind.name: kind for kind in reversed(KINDS)}
# Each is understood by one driver only, the first by none that replaces percent signs.
WORDS = {
    "asyncpg": """
    bind = op.get_bind()
    bind.exec_driver_sql("INSERT INTO books (title) SELECT 'one' WHERE 'tea' LIKE 't%'")
    bind.exec_driver_sql("INSERT INTO books (title) VALUES ($1)", ("two",))
    found = bind.exec_driver_sql("SELECT gen_random_uuid()").scalar()
    op.execute(f"INSERT INTO books (title) VALUES ('{type(found).__name__}')")
""",
    "psycopg": """
    bind = op.get_bind()
    bind.exec_driver_sql("INSERT INTO books (title) VALUES (%(n)t)", {"n": "one"})
    bind.exec_driver_sql("INSERT INTO books (title) VALUES (%s)", ("two",))
    found = bind.exec_driver_sql("SELECT gen_random_uuid()").scalar()
    op.execute(f"INSERT INTO books (title) VALUES ('{type(found).__name__}')")
""",
}
ANYIO = """
import anyio
from anyio import from_thread
from sqlalchemy.ext.asyncio import create_async_engine
import os
from alembic import context
from models import Base

def do_run_migrations(connection):
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()


async def run():
    engine = create_async_engine(os.environ["SHOP_DATABASE_URL"])
    async with engine.connect() as connection:
        await connection.run_sync(do_run_migrations)
    await engine.dispose()

"""


@pytest.fixture
def shop(tmp_path: Path, new_database_url: str, launcher: Launcher) -> ForeignProject:
    kind = _BY_NAME["async_asyncpg"]
    return copy_project(kind, tmp_path / "shop", new_database_url, launcher)


def add_revision(project: ForeignProject, body: str) -> None:
    (project.root / "alembic" / "versions" / "0003.py").write_text(
        "from alembic import op\nrevision, down_revision = '0003', '0002'\n"
        f"def upgrade():\n{body}\n\ndef downgrade():\n    pass\n"
    )


@pytest.mark.parametrize("driver", sorted(WORDS))
def test_revisions_are_run_by_the_projects_own_driver_in_every_database(
    shop: ForeignProject, driver: str
) -> None:
    shop.env["SHOP_DATABASE_URL"] = shop.env["SHOP_DATABASE_URL"].replace("asyncpg", driver)
    add_revision(shop, WORDS[driver])
    assert "now at 0003" in shop.run("init").succeeded().out
    rows = query(shop.url, "SELECT title FROM books ORDER BY id")
    assert rows == [("one",), ("two",), ("UUID",)]
    assert "models, migrations and database agree" in shop.run("verify").succeeded().out
    shop.run("downgrade", "-s", "1").succeeded()
    assert "now at 0003" in shop.run("upgrade").succeeded().out
    assert query(shop.url, "SELECT count(*) FROM books") == [(6,)]
    assert query(shop.url, "SELECT count(*) FROM db_ops.history") == [(5,)]


def test_what_another_driver_writes_beside_the_database_keeps_it_from_becoming_a_template(
    shop: ForeignProject,
) -> None:
    name = f"r_{shop.url.rpartition('/')[2]}"
    add_revision(shop, f"    op.execute('CREATE ROLE {name}')")
    try:
        assert "template" not in shop.run("init").succeeded().out
        query(shop.url, f"DROP ROLE {name}")
        outcome = shop.run("verify")
        assert query(shop.url, f"SELECT 1 FROM pg_roles WHERE rolname = '{name}'") == []
        assert outcome.code == 0, outcome.out
    finally:
        query(shop.url, f"DROP ROLE IF EXISTS {name}")


def test_statements_of_another_driver_are_measured_all_the_same(shop: ForeignProject) -> None:
    shop.run("upgrade").failed(1)
    shop.run("init").succeeded()
    add_revision(shop, "    op.execute('ALTER TABLE books ADD COLUMN pages int')")
    plan = json.loads(shop.run("upgrade", "--plan", "--json").succeeded().out)
    assert "ADD COLUMN pages" in json.dumps(plan)


CREATOR = """
def connect_elsewhere():
    open("contacted", "a").close()
    raise RuntimeError("no way to the cloud from here")

connectable = create_engine("postgresql+{driver}://", creator=connect_elsewhere)
"""
LISTENER = """
connectable = create_engine("postgresql+{driver}://app@db.example/app")

@event.listens_for(connectable, "do_connect")
def token(dialect, record, arguments, parameters):
    open("contacted", "a").close()
    raise RuntimeError("no token from here")
"""


@pytest.mark.parametrize(
    ("how", "driver"),
    [(CREATOR, "psycopg2"), (CREATOR, "psycopg"), (LISTENER, "psycopg")],
    ids=["creator, psycopg2", "creator, psycopg", "do_connect"],
)
def test_a_connector_of_its_own_is_not_asked_where_the_url_is_known(
    shop: ForeignProject, how: str, driver: str
) -> None:
    (shop.root / "alembic" / "env.py").write_text(
        "from alembic import context\nfrom models import Base\n"
        f"from sqlalchemy import create_engine, event\n{how.format(driver=driver)}\n"
        "with connectable.connect() as connection:\n"
        "    context.configure(connection=connection, target_metadata=Base.metadata)\n"
        "    with context.begin_transaction():\n        context.run_migrations()\n"
    )
    shop.env["DATABASE_URL"] = shop.url
    (shop.root / "pyproject.toml").write_text('[tool.db_ops]\nurl_env = "DATABASE_URL"\n')
    assert "now at 0002" in shop.run("init").succeeded().out
    assert "models, migrations and database agree" in shop.run("verify").succeeded().out
    shop.run("downgrade", "-s", "1").succeeded()
    assert not (shop.root / "contacted").exists()


@pytest.mark.parametrize("said", ["from_thread.run(run)", "hand_over(run)"])
def test_an_env_py_that_hands_its_work_to_anyio_gets_a_worker_thread(
    shop: ForeignProject, said: str
) -> None:
    (shop.root / "handing.py").write_text("from anyio.from_thread import run as hand_over\n")
    imports = "from handing import hand_over\n" if "hand_over" in said else ""
    text = ANYIO if not imports else ANYIO.replace("from anyio import from_thread\n", "")
    (shop.root / "alembic" / "env.py").write_text(f"{imports}{text}\n{said}\n")
    assert "now at 0002" in shop.run("init").succeeded().out
    assert "models, migrations and database agree" in shop.run("verify").succeeded().out
    shop.change_model()
    assert "books.pages" in shop.run("create-migration", "-m", "pages").succeeded().out


def test_a_transaction_that_env_py_begins_itself_may_be_ended_by_it(shop: ForeignProject) -> None:
    env_py = (
        ANYIO.replace("import anyio\nfrom anyio import from_thread\n", "import asyncio\n")
        .replace(
            "def do_run_migrations(connection):\n",
            "def do_run_migrations(connection):\n    transaction = connection.begin()\n",
        )
        .replace("    with context.begin_transaction():\n", "    try:\n")
        .replace(
            "        context.run_migrations()\n",
            "        context.run_migrations()\n        transaction.commit()\n"
            "    except Exception:\n        transaction.rollback()\n        raise\n",
        )
    )
    (shop.root / "alembic" / "env.py").write_text(f"{env_py}asyncio.run(run())\n")
    assert "2 revisions applied" in shop.run("init").succeeded().out
    assert "1 revision" in shop.run("downgrade").succeeded().out
    newest = max((shop.root / "alembic" / "versions").glob("*.py"))
    text = newest.read_text()
    newest.write_text(text.replace("def upgrade():\n", "def upgrade():\n    raise ValueError\n"))
    outcome = shop.run("upgrade").failed(1)
    assert "ValueError" in outcome.error
    assert "Warning" not in outcome.err
    assert query(shop.url, "SELECT version_num FROM alembic_version") == [("0001",)]
    newest.write_text(text)
    shop.run("upgrade").succeeded()
    assert query(shop.url, "SELECT version_num FROM alembic_version") == [("0002",)]
