"""Seeds: what a project names to write rows, run in new databases and by `seed`."""

from __future__ import annotations

import json

import pytest

from tests.support.project import Project
from tests.support.schemas import validated
from tests.test_pytest_plugin import run_tests, write_tests
from tests.test_templates import eventually, own

FUNCTION = """
from sqlalchemy import text


def seed(session):
    for number in (1, 2, 3):
        session.execute(text(f"INSERT INTO one VALUES ({number}) ON CONFLICT DO NOTHING"))
"""
MODELS = """
class One(Base):
    __tablename__ = "one"
    id: Mapped[int] = mapped_column(primary_key=True)


class Three(Base):
    __tablename__ = "three"
    id: Mapped[int] = mapped_column(primary_key=True)
"""
ONE, TWO = "SELECT id FROM one ORDER BY id", "SELECT id FROM two ORDER BY id"
OF_THE_SEED = [(1,), (2,), (3,)]


def name_seeds(project: Project, *seeds: str) -> None:
    named = json.dumps(seeds[0] if len(seeds) == 1 else seeds)
    (project.root / "pyproject.toml").write_text(f"[tool.db_ops]\nseed = {named}\n")


def write(project: Project, name: str, source: str) -> None:
    (project.root / name).write_text(source)


@pytest.fixture
def seeded(project: Project) -> Project:
    """A project with two tables and a seed; its database does not exist yet."""
    project.table("0001", "one")
    project.table("0002", "two")
    write(project, "seeds.py", FUNCTION)
    name_seeds(project, "seeds:seed")
    return project


@pytest.fixture
def filled(migrated: Project) -> Project:
    """A project at head whose seed has not run."""
    write(migrated, "seeds.py", FUNCTION)
    name_seeds(migrated, "seeds:seed")
    return migrated


def test_init_seeds_a_database_that_it_creates_and_no_other(seeded: Project, door: str) -> None:
    outcome = seeded.run("init", door=door).succeeded()
    assert "  seed  seeds:seed" in outcome.err
    assert "seeded, 3 rows inserted" in outcome.out
    assert seeded.query(ONE) == OF_THE_SEED
    seeded.query("DELETE FROM one")
    assert "nothing to do" in seeded.run("init", door=door).succeeded().out
    assert seeded.query(ONE) == []


def test_seed_runs_in_a_database_at_head_and_a_second_time_changes_nothing(
    filled: Project, door: str
) -> None:
    outcome = filled.run("seed", door=door).succeeded()
    assert "3 rows inserted" in outcome.out
    assert filled.query(ONE) == OF_THE_SEED
    outcome = filled.run("seed", "--json", door=door).succeeded()
    assert validated("seed.json", outcome.out)["tables"] == []
    assert filled.query(ONE) == OF_THE_SEED


def test_a_seeded_recreate_copies_what_the_same_seeds_have_written(seeded: Project) -> None:
    assert "dropped" not in seeded.run("init").succeeded().out
    outcome = seeded.run("recreate", "--json").succeeded()
    document = validated("recreate.json", outcome.out)
    assert document["origin"]["source"] == "template"
    assert document["seeded"] == [{"table": "one", "inserted": 3, "updated": 0, "deleted": 0}]
    assert "  seed  " not in outcome.err
    assert seeded.query(ONE) == OF_THE_SEED


def test_a_synchronous_seed_needs_nothing_that_asynchronous_ones_need(filled: Project) -> None:
    # As where SQLAlchemy is installed without greenlet.
    missing = "import sys\n\nsys.modules['sqlalchemy.ext.asyncio'] = None\n"
    write(filled, "seeds.py", missing + FUNCTION)
    filled.run("seed").succeeded()
    assert filled.query(ONE) == OF_THE_SEED


def test_no_seed_leaves_a_new_database_empty(seeded: Project) -> None:
    for command in ("init", "recreate"):
        outcome = seeded.run(command, "--no-seed").succeeded()
        assert "seeded" not in outcome.out
        assert seeded.query(ONE) == []


def test_what_is_built_to_look_at_is_never_seeded(seeded: Project) -> None:
    write(seeded, "seeds.py", FUNCTION + "    open('ran', 'a').write('x')\n")
    seeded.models(MODELS)
    seeded.run("init", "--no-seed").succeeded()
    seeded.run("verify")
    seeded.run("create-migration", "-m", "three", "--no-rename").succeeded()
    assert not (seeded.root / "ran").exists()


def test_a_changed_seed_runs_again_without_the_migrations(seeded: Project) -> None:
    seeded.run("init").succeeded()
    write(seeded, "numbers_of_seeds.py", "NUMBERS = [7]\n")
    write(
        seeded,
        "seeds.py",
        "from sqlalchemy import text\nfrom numbers_of_seeds import NUMBERS\n\n\n"
        "def seed(session):\n    for number in NUMBERS:\n"
        "        session.execute(text(f'INSERT INTO one VALUES ({number})'))\n",
    )
    outcome = seeded.run("recreate").succeeded()
    assert "  seed  " in outcome.err
    assert "apply" not in outcome.err
    assert seeded.query(ONE) == [(7,)]
    # What it imports is part of what the template is built from.
    write(seeded, "numbers_of_seeds.py", "NUMBERS = [8, 9]\n")
    assert "  seed  " in seeded.run("recreate").succeeded().err
    assert seeded.query(ONE) == [(8,), (9,)]


def test_a_changed_sql_file_runs_again(seeded: Project) -> None:
    name_seeds(seeded, "seeds:seed", "more.sql")
    write(seeded, "more.sql", "INSERT INTO two VALUES (1);")
    seeded.run("init").succeeded()
    assert (seeded.query(ONE), seeded.query(TWO)) == (OF_THE_SEED, [(1,)])
    write(seeded, "more.sql", "INSERT INTO two VALUES (2);")
    assert "  seed  more.sql" in seeded.run("recreate").succeeded().err
    assert seeded.query(TWO) == [(2,)]


def test_a_failing_seed_names_file_and_line_and_leaves_the_migrated_database(
    seeded: Project, door: str
) -> None:
    write(seeded, "seeds.py", FUNCTION + "    session.execute(text('SELECT oops'))\n")
    outcome = seeded.run("init", door=door).failed(1)
    assert 'seeds.py:8: seed seeds:seed failed: column "oops" does not exist' in outcome.error
    assert "the database is migrated" in outcome.error
    assert "  8 | session.execute(text('SELECT oops'))" in outcome.err
    assert seeded.query("SELECT version_num FROM alembic_version") == [("0002",)]
    assert seeded.query(ONE) == []
    write(seeded, "seeds.py", FUNCTION)
    assert outcome.hint.startswith("correct seeds.py, then: ")
    seeded.run("seed", door=door).succeeded()
    assert seeded.query(ONE) == OF_THE_SEED


def test_what_is_flushed_after_the_seed_has_returned_names_its_function(filled: Project) -> None:
    flushed_late = """
from sqlalchemy import Column, Integer
from sqlalchemy.orm import declarative_base


class One(declarative_base()):
    __tablename__ = "one"
    id = Column(Integer, primary_key=True)


def seed(session):
    session.add(One(id=2147483648))
"""
    write(filled, "seeds.py", flushed_late)
    outcome = filled.run("seed").failed(1)
    assert outcome.error.startswith("seeds.py:11: seed seeds:seed failed: integer out of range")
    assert outcome.hint.startswith("correct seeds.py, then: ")


@pytest.mark.parametrize("flags", [(), ("--from-migrations",)])
def test_a_recreate_whose_seed_fails_leaves_the_database_as_it_was(
    filled: Project, flags: tuple[str, ...]
) -> None:
    filled.query("INSERT INTO one VALUES (42)")
    write(filled, "seeds.py", FUNCTION + "    raise ValueError('not today')\n")
    outcome = filled.run("recreate", *flags).failed(1)
    assert "seeds.py:8: seed seeds:seed failed: ValueError: not today" in outcome.error
    assert "the database is as it was" in outcome.error
    assert outcome.hint == "correct seeds.py, then run the same command again"
    assert filled.query(ONE) == [(42,)]


def test_what_a_function_called_by_the_seed_raises_names_both_lines(filled: Project) -> None:
    write(filled, "helpers.py", "def fail():\n    raise LookupError('no such agent')\n")
    write(filled, "seeds.py", "from helpers import fail\n\n\ndef seed(session):\n    fail()\n")
    outcome = filled.run("seed").failed(1)
    assert outcome.error.startswith("seeds.py:5: ")
    assert "at helpers.py:2 | raise LookupError('no such agent')" in outcome.err


def test_all_seeds_are_one_transaction_even_where_one_commits_itself(filled: Project) -> None:
    write(
        filled,
        "seeds.py",
        FUNCTION + "        session.commit()\n    session.rollback()\n",
    )
    write(filled, "two.sql", "BEGIN;\nINSERT INTO two VALUES (1);\nCOMMIT;\nSELECT 1/0;\n")
    name_seeds(filled, "seeds:seed", "two.sql")
    outcome = filled.run("seed").failed(1)
    assert outcome.error.startswith("two.sql:4: seed two.sql failed: division by zero")
    assert (filled.query(ONE), filled.query(TWO)) == ([], [])
    write(filled, "two.sql", "BEGIN;\nINSERT INTO two VALUES (1);\nCOMMIT;\n")
    filled.run("seed").succeeded()
    assert (filled.query(ONE), filled.query(TWO)) == (OF_THE_SEED, [(1,)])


KINDS = {
    "AsyncSession": (
        "from sqlalchemy import text\n"
        "async def seed(session):\n"
        "    await session.execute(text('INSERT INTO one VALUES (1)'))\n"
        "    await session.commit()\n"
    ),
    "a session of an extension's": (
        "from sqlalchemy import text\n"
        "from sqlalchemy.orm import Session\n"
        "class Other(Session):\n"
        "    def exec(self, statement):\n"
        "        return self.execute(text(statement))\n"
        "def seed(session: Other) -> None:\n"
        "    session.exec('INSERT INTO one VALUES (1)')\n"
    ),
    "a connection": (
        "from sqlalchemy import Connection, text\n"
        "def seed(connection: Connection) -> None:\n"
        "    connection.execute(text('INSERT INTO one VALUES (1)'))\n"
        "    connection.commit()\n"
    ),
    "an engine of its own": (
        "from sqlalchemy import create_engine, text\n"
        "from sqlalchemy.orm import sessionmaker\n"
        "Local = sessionmaker(create_engine('postgresql+psycopg2://nobody@192.0.2.1/elsewhere'))\n"
        "def seed():\n"
        "    with Local() as session:\n"
        "        session.execute(text('INSERT INTO one VALUES (1)'))\n"
        "        session.commit()\n"
    ),
    "an asynchronous engine of its own": (
        "from sqlalchemy import text\n"
        "from sqlalchemy.ext.asyncio import create_async_engine\n"
        "ENGINE = create_async_engine('postgresql+asyncpg://nobody@192.0.2.1/elsewhere')\n"
        "async def seed():\n"
        "    async with ENGINE.begin() as connection:\n"
        "        await connection.execute(text('INSERT INTO one VALUES (1)'))\n"
    ),
    "the driver's connection": (
        "def seed(session):\n"
        "    driver = session.connection().connection\n"
        "    driver.cursor().execute('INSERT INTO one VALUES (1)')\n"
        "    driver.commit()\n"
    ),
}


@pytest.mark.parametrize("source", KINDS.values(), ids=KINDS)
def test_a_function_gets_the_session_that_it_asks_for_and_commits_with_the_rest(
    filled: Project, source: str
) -> None:
    write(filled, "kinds.py", source)
    write(filled, "fails.sql", "SELECT 1/0;")
    name_seeds(filled, "kinds:seed", "fails.sql")
    filled.run("seed").failed(1)
    assert filled.query(ONE) == []
    name_seeds(filled, "kinds:seed")
    filled.run("seed").succeeded()
    assert filled.query(ONE) == [(1,)]


def test_a_seed_that_cannot_be_imported_names_what_it_lacks(filled: Project) -> None:
    name_seeds(filled, "seeds:plant")
    outcome = filled.run("seed").failed(1)
    assert "has no attribute 'plant'" in outcome.error
    assert outcome.hint.startswith("correct pyproject.toml")
    name_seeds(filled, "nowhere.sql")
    outcome = filled.run("seed").failed(1)
    assert outcome.error.startswith("nowhere.sql: seed nowhere.sql failed: FileNotFoundError")


def test_a_database_that_is_behind_or_missing_is_refused_with_the_next_command(
    filled: Project,
) -> None:
    filled.table("0004", "four")
    outcome = filled.run("seed").failed(1)
    assert "not at head, pending: 0004" in outcome.error
    assert outcome.hint.endswith("manage_db.py upgrade")
    assert filled.query(ONE) == []
    filled.run("delete-db").succeeded()
    assert filled.run("seed").failed(1).hint.endswith("manage_db.py init")


def test_a_project_without_seeds_is_told_what_to_write(migrated: Project) -> None:
    outcome = migrated.run("seed").failed(2)
    assert '[tool.db_ops] seed = "package.module:function"' in outcome.hint


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("3", "neither a string nor a list of strings"),
        ('["seeds:seed", 4]', "not a list of strings"),
        ('"seeds.py"', "'seeds.py' is neither package.module:function nor a .sql file"),
    ],
)
def test_a_setting_that_names_no_seed_is_misuse(migrated: Project, value: str, said: str) -> None:
    write(migrated, "pyproject.toml", f"[tool.db_ops]\nseed = {value}\n")
    assert f"[tool.db_ops] seed: {said}" in migrated.run("seed").failed(2).error


def test_a_protected_database_is_seeded_by_its_name_alone(
    seeded: Project, database_name: str
) -> None:
    seeded.env["DB_OPS_ENVIRONMENT"] = "production"
    seeded.run("init").succeeded()
    assert seeded.query(ONE) == []
    outcome = seeded.run("seed").failed(4)
    assert "seed refused: the environment is production" in outcome.error
    assert outcome.hint.startswith("if this database is to be seeded: ")
    seeded.env["DB_OPS_ENVIRONMENT"] = "development"
    assert "marked production" in seeded.run("seed").failed(4).error
    assert seeded.query(ONE) == []
    seeded.run("seed", "--confirm", database_name).succeeded()
    assert seeded.query(ONE) == OF_THE_SEED


def test_a_database_of_the_test_environment_is_seeded_on_demand_alone(seeded: Project) -> None:
    seeded.env["DB_OPS_ENVIRONMENT"] = "test"
    seeded.run("init").succeeded()
    assert seeded.query(ONE) == []
    seeded.run("seed").succeeded()
    assert seeded.query(ONE) == OF_THE_SEED


def test_a_seed_that_stores_the_name_of_its_database_is_run_in_that_database(
    seeded: Project, database_name: str
) -> None:
    write(seeded, "names.sql", "CREATE TABLE names AS SELECT current_database() AS name;")
    name_seeds(seeded, "names.sql")
    for command in ("init", "recreate"):
        seeded.run(command).succeeded()
        assert seeded.query("SELECT name FROM names") == [(database_name,)]


def test_a_sequence_that_explicit_keys_leave_behind_is_named(filled: Project) -> None:
    filled.revision("0004", "op.execute('CREATE TABLE four (id serial PRIMARY KEY)')")
    filled.run("upgrade").succeeded()
    write(filled, "four.sql", "INSERT INTO four VALUES (1), (12);")
    name_seeds(filled, "four.sql")
    said = "four_id_seq lags behind four.id, 12; SELECT setval('four_id_seq', max(id)) FROM four"
    assert said in filled.run("seed").succeeded().err
    write(filled, "four.sql", f"INSERT INTO four VALUES (13);{said.partition(';')[2]};")
    assert "lags behind" not in filled.run("seed").succeeded().err


def test_a_test_with_the_marker_has_a_seeded_database(seeded: Project, server_url: str) -> None:
    seeded.env["DB_OPS_TEST_URL"] = server_url
    write_tests(
        seeded,
        """
        import pytest
        from sqlalchemy import text

        def count(session):
            return session.execute(text("SELECT count(*) FROM one")).scalar()

        @pytest.mark.seeded
        @pytest.mark.parametrize("number", range(2))
        def test_with(session, number):
            assert count(session) == 3
            session.execute(text("DELETE FROM one"))
            session.commit()

        def test_without(session):
            assert count(session) == 0
        """,
    )
    assert "3 passed" in run_tests(seeded, "--strict-markers").succeeded().out
    write(seeded, "seeds.py", FUNCTION + "    raise ValueError('not today')\n")
    outcome = run_tests(seeded)
    assert "1 passed" in outcome.out
    assert "2 errors" in outcome.out
    assert "seeds.py:8: seed seeds:seed failed: ValueError: not today" in outcome.out


def test_the_spare_is_seeded_too(seeded: Project, server_url: str) -> None:
    seeded.env["DB_OPS_SPARE"] = "1"
    seeded.run("init").succeeded()
    service = seeded.url.rpartition("/")[2]
    with eventually(lambda: [one for one in own(server_url, "spare") if service in str(one[1])]):
        outcome = seeded.run("recreate").succeeded()
    assert "created from a spare" in outcome.out
    assert seeded.query(ONE) == OF_THE_SEED


def test_the_seeds_are_not_imported_where_nothing_is_created(filled: Project) -> None:
    write(filled, "seeds.py", "raise SystemExit('imported')\n")
    filled.run("init", "status", "upgrade").succeeded()
