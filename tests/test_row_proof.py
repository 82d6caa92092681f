"""`create-migration` tries what it writes on tables with rows, which it makes from the catalogs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from db_ops.errors import ExitCode
from db_ops.generation.proof_run import ProofRun
from db_ops.postgres.rows import (
    fill_tables,
    insert_one_row,
    read_content,
    read_tables,
    sequences_behind,
)
from db_ops.results import MigrationCreated
from db_ops.settings import DatabaseUrl
from tests.support.project import Project, query

MODELS = """
class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title = mapped_column(sa.String({length}), nullable=False{unique})
    pages = mapped_column(sa.Integer)
    {column}
"""
# What a project's own hook adds to a generated file.
HOOK = """
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from alembic.operations import ops
from models import Base
from db_ops import run_migrations

STATEMENTS = {statements!r}


def extend(context, revision, directives):
    directives[0].upgrade_ops.ops += [ops.ExecuteSQLOp(one) for one in STATEMENTS]


run_migrations(Base.metadata, process_revision_directives=extend)
"""
TABLE = """
op.execute('''
    CREATE TABLE book (
        id serial CONSTRAINT pk_book PRIMARY KEY,
        title varchar(40) NOT NULL,
        pages integer
    )
''')
"""


def create(project: Project) -> MigrationCreated:
    result = project.prepare("create_migration", "change", no_rename=True)
    assert isinstance(result, MigrationCreated)
    return result


@pytest.fixture
def books(project: Project) -> Project:
    """A project with one table, and models that write it alike."""
    project.revision("0001", TABLE, "op.execute('DROP TABLE book')")
    project.models(MODELS.format(length=40, unique="", column=""))
    return project


def test_a_value_that_changes_without_a_word_is_named(books: Project) -> None:
    column = "note = mapped_column(sa.Text)"
    books.models(MODELS.format(length=40, unique="", column=column))
    hook = books.root / "alembic" / "env.py"
    hook.write_text(HOOK.format(statements=["UPDATE book SET title = 'x' WHERE title <> ''"]))
    result = create(books)
    assert result.exit_code == ExitCode.DIFFERENT
    (wrong, back) = result.unproven
    assert wrong.startswith("book.title: ")
    assert wrong.endswith(" became 'x', which nothing said")
    assert back == f"downgrade: {wrong}"


def test_rows_that_go_sequences_that_start_again_and_tables_that_take_no_row_are_named(
    books: Project,
) -> None:
    column = "note = mapped_column(sa.Text)"
    books.models(MODELS.format(length=40, unique="", column=column))
    statements = [
        "ALTER SEQUENCE book_id_seq RESTART",
        "DELETE FROM book WHERE id = 2",
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN RAISE EXCEPTION ''closed''; END'",
        "CREATE TRIGGER no BEFORE INSERT ON book FOR EACH ROW EXECUTE FUNCTION no()",
    ]
    (books.root / "alembic" / "env.py").write_text(HOOK.format(statements=statements))
    unproven = create(books).unproven
    said = [one for one in unproven if not one.startswith("downgrade")]
    assert [one for one in said if one.endswith("rows, which nothing said")]
    assert [one for one in said if one.endswith("and its sequence goes on at 1")]
    assert "book takes no row any more: closed" in said


def test_what_rows_forbid_is_said_and_the_rest_is_proven_with_others(books: Project) -> None:
    column = "isbn = mapped_column(sa.Text, nullable=False)"
    books.models(MODELS.format(length=10, unique="", column=column))
    result = create(books)
    assert (result.todos, result.unproven) == ((), ())
    null = 'upgrade, where book has rows: column "isbn" of relation "book" contains null values'
    assert null in result.refusals
    outcome = books.run("create-migration", "-m", "again")
    assert "models and migrations agree" in outcome.out


def test_what_the_rows_of_several_tables_forbid_is_found_in_the_same_trials(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = [f"shelf_{number}" for number in range(4)]
    for number, table in enumerate(tables):
        project.table(f"000{number}", table)
    project.models(
        "".join(
            f"""
            class Shelf{number}(Base):
                __tablename__ = "{table}"
                __table_args__ = (sa.PrimaryKeyConstraint("id", name="{table}_pkey"),)
                id = mapped_column(sa.Integer, primary_key=True, autoincrement=False)
                label = mapped_column(sa.Text, nullable=False)
            """
            for number, table in enumerate(tables)
        )
    )
    trials = []
    run = ProofRun.on
    monkeypatch.setattr(ProofRun, "on", lambda *of: (trials.append(of), run(*of))[1])
    result = create(project)
    assert (result.todos, result.unproven) == ((), ())
    assert sorted(result.refusals) == [
        f'upgrade, where {table} has rows: column "label" of relation "{table}" contains null'
        " values"
        for table in tables
    ]
    # With values at the edges, with plain ones, and with none.
    assert len(trials) == 3


def test_a_new_foreign_key_is_not_refused_because_of_rows_that_the_trial_took_away(
    books: Project,
) -> None:
    books.revision(
        "0002", "op.execute('CREATE TABLE text (id serial CONSTRAINT pk_text PRIMARY KEY)')"
    )
    column = "isbn = mapped_column(sa.Text, nullable=False)"
    text = """

class Text(Base):
    __tablename__ = "text"
    id: Mapped[int] = mapped_column(sa.ForeignKey("book.id"), primary_key=True)
"""
    books.models(MODELS.format(length=40, unique="", column=column) + text)
    result = create(books)
    null = 'upgrade, where book has rows: column "isbn" of relation "book" contains null values'
    assert result.refusals == (null,)
    assert result.unchecked == ("not tried with rows: text: book, which it refers to, has none",)


def test_a_reference_that_may_be_empty_is_tried_empty(books: Project) -> None:
    books.revision(
        "0002",
        "op.execute('CREATE TABLE author (id serial CONSTRAINT pk_author PRIMARY KEY)')\n"
        "op.execute('ALTER TABLE book ADD author_id integer CONSTRAINT fk_book_author_id_author"
        " REFERENCES author')",
    )
    column = 'author_id = mapped_column(sa.ForeignKey("author.id"), nullable=False)'
    author = """

class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
"""
    books.models(MODELS.format(length=40, unique="", column=column) + author)
    result = create(books)
    assert (result.todos, result.unproven) == ((), ())
    (refusal,) = result.refusals
    assert 'column "author_id" of relation "book" contains null values' in refusal


def test_rows_that_migrations_write_make_no_todo(books: Project) -> None:
    books.revision("0002", "op.execute(\"INSERT INTO book (title) VALUES ('The Manual')\")")
    column = "isbn = mapped_column(sa.Text, nullable=False)"
    books.models(MODELS.format(length=40, unique="", column=column))
    result = create(books)
    assert result.todos == ()
    (unproven,) = result.unproven
    assert 'column "isbn" of relation "book" contains null values' in unproven


def test_a_downgrade_that_rows_forbid_is_said(books: Project) -> None:
    text = MODELS.format(length=40, unique="", column="")
    books.models(text.replace("    title = mapped_column(sa.String(40), nullable=False)\n", ""))
    outcome = books.run("create-migration", "-m", "no titles")
    assert outcome.code == ExitCode.DONE, outcome
    assert (
        'refused: downgrade, where book has rows: column "title" of relation "book" contains null'
        in outcome.out
    )
    assert "loses data: drops column book.title" in outcome.out


def test_what_is_announced_is_no_surprise_whatever_its_name(books: Project) -> None:
    sql = 'CREATE TABLE "Old books" (id serial PRIMARY KEY, "A b" text, at date)'
    books.revision("0002", f"op.execute('{sql}')", "op.execute('DROP TABLE \"Old books\"')")
    result = create(books)
    assert result.losses == ('drops table "Old books" with all its rows',)
    assert (result.todos, result.unproven, result.refusals) == ((), (), ())


def test_an_enum_value_goes_unless_a_row_holds_it(books: Project) -> None:
    """Also one that stands neither first nor last, in an array, and where a view shows it."""
    books.revision(
        "0002",
        "op.execute(\"CREATE TYPE mood AS ENUM ('good', 'it''s bad', 'fine')\")\n"
        "op.execute('ALTER TABLE book ADD COLUMN moods mood[], ADD COLUMN mood mood NOT NULL')",
        "op.execute('ALTER TABLE book DROP moods, DROP mood')\nop.execute('DROP TYPE mood')",
    )
    books.revision("0003", "op.execute('CREATE VIEW moody AS SELECT mood, moods FROM book')")
    column = """mood = mapped_column(sa.Enum('good', 'fine', name='mood'), nullable=False)
    moods = mapped_column(sa.ARRAY(sa.Enum('good', 'fine', name='mood')))"""
    books.models(MODELS.format(length=40, unique="", column=column))
    result = create(books)
    assert (result.todos, result.unproven, result.losses) == ((), (), ())
    # The rows that it is tried on hold the others.
    assert result.refusals == (
        "upgrade, where a row holds 'it''s bad' of mood: removed from the type, so such rows have"
        " to be changed first",
    )


def test_the_way_back_is_tried_on_rows_that_a_new_unique_key_takes(books: Project) -> None:
    """Of a type with few values as well: a row less, rather than none."""
    books.revision(
        "0002",
        "op.execute('CREATE TABLE shelf (id serial CONSTRAINT pk_shelf PRIMARY KEY)')\n"
        "op.execute('ALTER TABLE book ADD at time, ADD sold boolean, ADD shelf_id integer"
        " CONSTRAINT fk_shelf REFERENCES shelf')",
        "op.execute('ALTER TABLE book DROP at, DROP sold, DROP shelf_id')\n"
        "op.execute('DROP TABLE shelf')",
    )
    columns = """at = mapped_column(sa.Time, unique=True)
    sold = mapped_column(sa.Boolean, unique=True)
    shelf_id = mapped_column(sa.Integer)"""
    books.models(MODELS.format(length=40, unique="", column=columns))
    result = create(books)
    assert (result.todos, result.unproven, result.unchecked) == ((), (), ())
    back = [one for one in result.refusals if one.startswith("downgrade, where book has rows")]
    assert any("fk_shelf" in one for one in back)


def test_a_foreign_key_that_becomes_unique_may_refer_twice_to_the_same(books: Project) -> None:
    books.revision(
        "0002",
        "op.execute('CREATE TABLE shelf (id serial CONSTRAINT pk_shelf PRIMARY KEY)')\n"
        "op.execute('ALTER TABLE book ADD shelf_id integer CONSTRAINT fk_book_shelf_id_shelf"
        " REFERENCES shelf')",
    )
    column = 'shelf_id = mapped_column(sa.ForeignKey("shelf.id"), unique=True)'
    shelf = """

class Shelf(Base):
    __tablename__ = "shelf"
    id: Mapped[int] = mapped_column(primary_key=True)
"""
    books.models(MODELS.format(length=40, unique="", column=column) + shelf)
    (refusal,) = create(books).refusals
    assert "upgrade, where book has rows: could not create unique index" in refusal


def test_a_narrower_type_is_tried_on_values_that_fit(books: Project) -> None:
    books.models(MODELS.format(length=10, unique=", unique=True", column=""))
    result = create(books)
    assert (result.todos, result.unproven) == ((), ())
    assert any("too long" in one for one in result.refusals)


def test_a_table_that_cannot_be_filled_is_named(books: Project) -> None:
    books.revision(
        "0002",
        "op.execute(\"ALTER TABLE book ADD CONSTRAINT secret CHECK (md5(title) = 'abc')\")",
        "op.execute('ALTER TABLE book DROP CONSTRAINT secret')",
    )
    column = (
        "note = mapped_column(sa.Text)\n"
        "    __table_args__ = ("
        "sa.CheckConstraint(\"md5(title) = 'abc'\", name=sa.sql.naming.conv('secret')),)"
    )
    books.models(MODELS.format(length=40, unique="", column=column))
    result = create(books)
    assert (result.todos, result.unproven) == ((), ())
    assert result.unchecked == (
        "not tried with rows: book: no row was found that secret would take",
    )


TABLES = """
CREATE DOMAIN positive AS integer CHECK (VALUE > 5) NOT NULL;
CREATE DOMAIN slug AS text CHECK (VALUE ~ '^[a-z]+$');
CREATE TYPE state AS ENUM ('a', 'b', 'c,d');
CREATE TYPE pair AS (a integer, b text);
CREATE TABLE customer (
    id serial PRIMARY KEY, email text NOT NULL UNIQUE, name varchar(30),
    state state NOT NULL DEFAULT 'a', states state[],
    age integer CHECK (age BETWEEN 18 AND 99), p positive, slug slug, pair pair,
    n numeric(6, 2) NOT NULL, bits bit(3), c char(4), words varchar(3)[]);
CREATE TABLE "Order" (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES customer, parent bigint REFERENCES "Order",
    during tstzrange NOT NULL, kind text NOT NULL CHECK (kind IN ('x', 'y')),
    a integer, z integer, CHECK (a < z), EXCLUDE USING gist (during WITH &&),
    total bigint GENERATED ALWAYS AS (a::bigint + z) STORED);
CREATE TABLE link (
    c integer REFERENCES customer, o bigint REFERENCES "Order", PRIMARY KEY (c, o));
CREATE TABLE "50% ""odd" ("a%b" text DEFAULT '50%' CHECK ("a%b" <> '%'), "C" date);
CREATE TABLE part (id integer, at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM ('2020-01-01') TO ('2030-01-01');
CREATE TABLE document (
    x jsonb NOT NULL CHECK (jsonb_typeof(x) = 'object'), y json NOT NULL,
    u uuid NOT NULL DEFAULT gen_random_uuid(), e bytea NOT NULL, m int4multirange,
    t tsvector NOT NULL, ip inet NOT NULL, mac macaddr NOT NULL, at timetz NOT NULL,
    how interval NOT NULL, money money NOT NULL, spot point NOT NULL, r int4range NOT NULL);
CREATE TABLE seat (
    y bigint UNIQUE DEFERRABLE, r int4range, EXCLUDE USING gist (r WITH &&) DEFERRABLE);
CREATE TABLE self (id integer PRIMARY KEY, boss integer NOT NULL REFERENCES self);
CREATE TABLE code (code char(2) NOT NULL CHECK (code ~ '^[A-Z]{2}$'));
"""


@pytest.fixture
def filled(new_database_url: str, server_url: str) -> Iterator[Connection]:
    """A connection to a database with tables of every kind, without rows so far."""
    query(server_url, f'CREATE DATABASE "{new_database_url.rpartition("/")[2]}"')
    query(new_database_url, TABLES)
    parameters = DatabaseUrl.parse(new_database_url).parameters
    with closing(psycopg2.connect(**parameters)) as connection:
        connection.autocommit = True
        yield connection


def test_rows_are_made_for_tables_of_every_kind(filled: Connection) -> None:
    filling = fill_tables(filled, read_tables(filled, "alembic_version"))
    assert filling.empty == ()
    content = read_content(filled, read_tables(filled, "alembic_version"))
    counts = {table.label: content.counts[oid] for oid, table in content.tables.items()}
    assert min(counts.values()) >= 3, counts
    values = {
        f"{table.label}.{column.name}": content.values[oid, column.number]
        for oid, table in content.tables.items()
        for column in table.columns
    }
    assert {"", None} < set(values['50% "odd.a%b'])
    assert max(len(one) for one in values["customer.name"] if one) == 30
    assert {"-9999.99", "0.00"} & set(values["customer.n"])
    assert None in values["customer.age"]
    assert {"a", "c,d"} <= set(values["customer.state"])
    assert any(values["Order.parent"])
    assert list(sequences_behind(filled)) == []
    assert list(insert_one_row(filled, read_tables(filled, "alembic_version"))) == []
    assert read_content(filled, read_tables(filled, "alembic_version")).values == content.values


def test_each_value_that_a_check_allows_is_in_some_row(filled: Connection) -> None:
    with filled.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE job (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
            " state varchar(20) NOT NULL CHECK (state IN ('new', '50% done', 'it''s')),"
            " amount numeric(12, 2) CHECK (amount >= -79 AND amount < 1000000))"
        )
    tables = [one for one in read_tables(filled, "alembic_version") if one.label == "job"]
    assert len(fill_tables(filled, tables).filled) == 1
    with filled.cursor() as cursor:
        cursor.execute("SELECT state, amount FROM job")
        rows = cursor.fetchall()
    assert {state for state, _ in rows} == {"new", "50% done", "it's"}
    assert len({amount for _, amount in rows}) > 3
    assert len(rows) >= 16


def test_the_same_catalogs_get_the_same_rows(filled: Connection) -> None:
    fill_tables(filled, read_tables(filled, "alembic_version"))
    first = read_content(filled, read_tables(filled, "alembic_version")).values
    with filled.cursor() as cursor:
        cursor.execute(
            'TRUNCATE customer, "Order", link, part, document, self, code, seat, "50% ""odd"'
            " RESTART IDENTITY"
        )
    fill_tables(filled, read_tables(filled, "alembic_version"))
    assert read_content(filled, read_tables(filled, "alembic_version")).values == first


def test_a_sequence_behind_its_column_is_found_in_either_direction(filled: Connection) -> None:
    with filled.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE down (id integer GENERATED ALWAYS AS IDENTITY (INCREMENT -2 START -1)"
            " PRIMARY KEY)"
        )
        fill_tables(filled, read_tables(filled, "alembic_version"))
        assert list(sequences_behind(filled)) == []
        cursor.execute(
            "SELECT setval('public.down_id_seq', -3), setval('public.customer_id_seq', 2)"
        )
    found = list(sequences_behind(filled))
    assert [one.partition(" holds")[0] for one in found] == ["customer.id", "down.id"]


def test_a_second_trial_is_built_from_the_revisions_before_the_new_one(books: Project) -> None:
    # Two heads have no template, so the revisions run again; the new one is there by then.
    books.revision("0101", down_revision=None, label="stock")
    books.models(MODELS.format(length=40, unique=", unique=True", column=""))
    result = books.prepare("create_migration", "unique", no_rename=True, branch="0001")
    assert isinstance(result, MigrationCreated)
    assert result.exit_code == ExitCode.DONE
    assert any("title" in one for one in result.refusals)
