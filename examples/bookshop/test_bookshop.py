"""Each test has a database of its own, migrated, with what the migrations have put in."""

import subprocess
import sys
from decimal import Decimal

import pytest
from bookshop import Book, worth_of_stock
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session


def test_the_migrations_have_put_a_book_in(session: Session) -> None:
    assert worth_of_stock(session) == Decimal(10)


@pytest.mark.parametrize("price", [1, 2, 3])
def test_what_a_test_commits_no_other_test_sees(session: Session, price: int) -> None:
    session.add(Book(title="A Novel", price=price))
    session.commit()
    assert worth_of_stock(session) == 10 + price


def test_constraints_are_those_of_the_migrations(session: Session) -> None:
    session.add(Book(title="The Manual", price=1))
    with pytest.raises(IntegrityError, match="uq_books_title"):
        session.commit()


def test_another_process_can_use_the_database_too(engine: Engine, database_url: str) -> None:
    program = f"""
import psycopg2
with psycopg2.connect({database_url!r}) as connection:
    connection.cursor().execute("DELETE FROM books")
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM books")).scalar() == 0
