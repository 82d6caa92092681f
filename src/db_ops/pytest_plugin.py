"""Fixtures for the tests of a service: a migrated database for each test.

One of a test with the marker `seeded` holds what the project's seeds write.

The server is that of `DB_OPS_TEST_URL`, or the project's embedded one; the database that
`DATABASE_URL` names is never touched. Installed with the package; a fixture of the same name in a
`conftest.py` replaces one of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from db_ops.builds.test_databases import DatabaseFactory


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", "seeded: its database holds what the seeds write")


@pytest.fixture(scope="session")
def db_ops_databases(pytestconfig: pytest.Config) -> Iterator[DatabaseFactory]:
    """What makes the databases; in each process of a distributed run one of its own."""
    from db_ops.builds.test_databases import database_factory
    from db_ops.settings import load

    with _told_in_two_lines():
        settings = load(pytestconfig.rootpath, for_tests=True)
        with database_factory(settings) as made:
            yield made


@pytest.fixture(scope="session")
def db_ops_seeds(db_ops_databases: DatabaseFactory) -> None:
    """Run the seeds once, so that what is wrong with them is found once."""
    with _told_in_two_lines():
        _ = db_ops_databases.seeded_template


@pytest.fixture
def database_url(
    db_ops_databases: DatabaseFactory, request: pytest.FixtureRequest
) -> Iterator[str]:
    """The URL of a migrated database of this test's own, gone after the test."""
    seeded = request.node.get_closest_marker("seeded") is not None
    if seeded:
        request.getfixturevalue("db_ops_seeds")
    url = db_ops_databases.create(seeded=seeded)
    yield url.render(with_password=True)
    db_ops_databases.drop(url)


@contextmanager
def _told_in_two_lines() -> Iterator[None]:
    from db_ops.errors import DbOpsError

    try:
        yield
    except DbOpsError as error:
        text = f"{error.message}\nhint: {error.hint}"
        raise pytest.fail.Exception(text, pytrace=False) from None


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A SQLAlchemy engine on this test's database."""
    import psycopg2
    from sqlalchemy import create_engine

    # An URL alone would choose the driver by its scheme: psycopg 3 from SQLAlchemy 2.1 on.
    engine = create_engine("postgresql+psycopg2://", creator=lambda: psycopg2.connect(database_url))
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """A SQLAlchemy session on this test's database; what it does not commit is rolled back."""
    from sqlalchemy.orm import Session

    with Session(engine) as session:
        yield session
