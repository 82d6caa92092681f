"""`create-migration`: how many scratch databases it takes, and that none of them is left."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from db_ops.errors import ModelsRefused
from db_ops.generation.schema_copy import RevisionBase
from db_ops.results import MigrationCreated
from tests.conftest import with_user
from tests.support.command import Command
from tests.support.project import Project, query

BOOK = """
class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title = mapped_column(sa.Text, nullable=False)
    {column}
"""
TABLE = """
op.execute('CREATE TABLE book (id serial CONSTRAINT pk_book PRIMARY KEY, title text NOT NULL)')
{more}
"""
OURS = r"""
    SELECT datname FROM pg_database
    WHERE datname LIKE 'db\_ops\_scratch\_%%' AND pg_get_userbyid(datdba) = current_user
"""
Bases = Callable[[], int]


@pytest.fixture
def books(server_url: str, role: str, project: Project) -> Project:
    """A project with one table, whose role owns what it makes."""
    query(server_url, f"ALTER ROLE {role} CREATEDB")
    project.url = with_user(project.url, role, "role_secret")
    project.revision("0001", TABLE.format(more=""), "op.execute('DROP TABLE book')")
    return project


@pytest.fixture
def bases(monkeypatch: pytest.MonkeyPatch) -> Bases:
    """Return how many databases at head were made so far."""
    made = []
    database = RevisionBase.database
    monkeypatch.setattr(
        RevisionBase, "database", lambda base: (made.append(base), database(base))[1]
    )
    return lambda: len(made)


def create(project: Project, column: str) -> MigrationCreated:
    project.models(BOOK.format(column=column))
    result = project.prepare("create_migration", "change")
    assert isinstance(result, MigrationCreated)
    return result


def left(project: Project) -> list[tuple[object, ...]]:
    return query(project.url.rpartition("/")[0] + "/postgres", OURS)


def test_a_revision_is_tried_in_the_database_that_it_was_planned_in(
    books: Project, bases: Bases
) -> None:
    result = create(books, "note = mapped_column(sa.Text, index=True)")
    assert len(result.operations) == 2
    assert (result.unproven, result.unchecked, bases()) == ((), (), 1)
    assert left(books) == []


def test_rows_of_migrations_are_there_again_when_the_revision_is_tried(
    books: Project, bases: Bases
) -> None:
    books.revision("0002", "op.execute(\"INSERT INTO book (title) VALUES ('a'), ('a')\")")
    result = create(books, "__table_args__ = (sa.UniqueConstraint('title', name='uq_title'),)")
    # Planning has taken them away: the statement itself is right.
    assert result.todos == ()
    (refusal,) = result.refusals
    assert "could not create unique index" in refusal
    assert bases() > 1
    assert left(books) == []


def test_what_no_transaction_takes_is_planned_all_the_same(books: Project, bases: Bases) -> None:
    more = (
        "op.execute(\"CREATE TYPE state AS ENUM ('new')\")\n"
        "op.execute(\"ALTER TABLE book ADD state state DEFAULT 'new'\")"
    )
    books.revision("0002", more, "pass")
    column = 'state = mapped_column(sa.Enum("new", "old", name="state"), server_default="old")'
    result = create(books, column)
    assert (result.todos, result.unproven) == ((), ())
    # The new value was committed before it was used.
    assert bases() == 2
    assert left(books) == []


def test_a_long_plan_does_not_keep_its_locks(
    books: Project, bases: Bases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db_ops.generation.planning_session._MOST", 1)
    result = create(books, "note = mapped_column(sa.Text, index=True)")
    assert (result.todos, result.unproven, bases()) == ((), (), 2)
    assert left(books) == []


def test_models_may_send_what_no_transaction_takes(books: Project) -> None:
    result = create(
        books,
        """
    note = mapped_column(sa.Text)

sa.event.listen(
    Book.__table__,
    "after_create",
    sa.DDL("CREATE INDEX CONCURRENTLY ix_note ON book (note)"),
)
""",
    )
    assert any("add index ix_note " in one for one in result.operations)
    assert (result.todos, result.unproven) == ((), ())
    assert left(books) == []


def test_what_models_have_made_before_a_refused_statement_is_kept(books: Project) -> None:
    books.models(
        BOOK.format(column="note = mapped_column(sa.Text)\n    other = mapped_column(sa.Text)")
        + "    __table_args__ = (sa.Index('a', 'note'), sa.Index('b', sa.text('no_such(note)')),"
        " sa.Index('c', 'other'))\n"
    )
    result = books.prepare("create_migration", "change")
    assert isinstance(result, MigrationCreated)
    assert [one.split(":")[0] for one in result.left_out] == ["index b on book (models.py"]
    added = [one.partition(" (")[0] for one in result.operations]
    assert added == ["add column book.note", "add column book.other", "add index a", "add index c"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_leaves_no_scratch_database(
    books: Project, number: signal.Signals
) -> None:
    books.models(
        BOOK.format(column="note = mapped_column(sa.Text)")
        + '\nsa.event.listen(Book.__table__, "after_create", sa.DDL("SELECT pg_sleep(60)"))\n'
    )
    with Command(books, "create-migration", "-m", "note") as command:
        command.wait_until_it_runs("pg_sleep")
        command.send(number)
        command.outcome(40).failed(128 + number)
    assert left(books) == []


def test_an_error_leaves_no_scratch_database(books: Project) -> None:
    books.models(
        BOOK.format(column="note = mapped_column(sa.Text)")
        + '\nsa.event.listen(Book.__table__, "after_create", sa.DDL("SELECT no_such()"))\n'
    )
    with pytest.raises(ModelsRefused):
        books.prepare("create_migration", "change")
    assert left(books) == []
