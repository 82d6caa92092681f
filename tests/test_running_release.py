"""Whether the release that is running survives what is pending: `--against`."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.doors import Outcome
from tests.support.project import Project

MODELS = """
    import enum
    from datetime import datetime
    from decimal import Decimal
    from sqlalchemy.dialects.postgresql import JSONB

    class Size(enum.Enum):
        small = "small"
        large = "large"

    class Shelf(Base):
        __tablename__ = "shelves"
        id: Mapped[int] = mapped_column(primary_key=True)
        label: Mapped[str] = mapped_column(sa.String(20), unique=True)

    class Author(Base):
        __tablename__ = "authors"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    class Book(Base):
        __tablename__ = "books"
        id: Mapped[int] = mapped_column(primary_key=True)
        shelf_id: Mapped[int] = mapped_column(sa.ForeignKey("shelves.id"))
        title: Mapped[str] = mapped_column(sa.String(40))
        isbn: Mapped[str | None]
        pages: Mapped[int]
        written = mapped_column("written_at", sa.DateTime(timezone=True), server_default=sa.func.now())
        size: Mapped[Size]
        notes: Mapped[str | None]
        price: Mapped[Decimal] = mapped_column(sa.Numeric(8, 2), default=Decimal(1))
        seen: Mapped[datetime | None] = mapped_column(onupdate=datetime.now)
        extra: Mapped[dict | None] = mapped_column(JSONB)
"""
FIRST = """
    op.execute("CREATE TYPE size AS ENUM ('small', 'large')")
    op.execute("CREATE TABLE shelves (id serial PRIMARY KEY, label varchar(20) NOT NULL UNIQUE)")
    op.execute("CREATE TABLE authors (id serial PRIMARY KEY, name text NOT NULL)")
    op.execute('''CREATE TABLE books (id serial PRIMARY KEY, title varchar(40) NOT NULL,
        shelf_id integer NOT NULL REFERENCES shelves, isbn varchar, pages integer NOT NULL,
        written_at timestamptz NOT NULL DEFAULT now(), size size NOT NULL, notes varchar,
        price numeric(8, 2) NOT NULL, seen timestamp, extra jsonb)''')
"""


def git(root: Path, *arguments: str) -> str:
    """Run git as somebody who has a name."""
    who = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    for role in ("AUTHOR", "COMMITTER"):
        who |= {f"GIT_{role}_NAME": "Ada", f"GIT_{role}_EMAIL": "ada@example.com"}
    argv = ["git", "-C", str(root), *arguments]
    return subprocess.run(
        argv, env={**os.environ, **who}, check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(root: Path, tag: str) -> None:
    git(root, "add", "-A")
    git(root, "commit", "-qm", tag)
    git(root, "tag", tag)


@pytest.fixture
def shop(project: Project, server_url: str) -> Project:
    """A project in a git repository, whose first revision makes three tables: release 1.0."""
    project.models(MODELS)
    project.revision("0001", FIRST, summary="the shop")
    project.env["DB_OPS_TEST_URL"] = server_url
    (project.root / ".gitignore").write_text(".env\n__pycache__/\n.db_ops/\n")
    git(project.root, "init", "-qb", "main")
    commit(project.root, "1.0")
    return project


def check(project: Project, *arguments: str) -> tuple[Outcome, dict[str, Any]]:
    """Return what `check-models --against 1.0 --json` says."""
    outcome = project.run("check-models", "--against", "1.0", "--json", *arguments)
    return outcome, json.loads(outcome.out)["release"]


def by_subject(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one["subject"]: one for one in found}


BREAKING = {
    "0002": "ALTER TABLE books DROP COLUMN notes",
    "0003": "ALTER TABLE books RENAME COLUMN title TO name",
    "0004": "ALTER TABLE authors RENAME TO writers",
    "0005": "ALTER TABLE books ALTER COLUMN pages TYPE text",
    "0006": "ALTER TABLE shelves ADD COLUMN room integer NOT NULL",
    "0007": "ALTER TABLE books ALTER COLUMN isbn SET NOT NULL",
    "0008": "ALTER TABLE books ALTER COLUMN written_at TYPE date",
    "0009": "ALTER TABLE books ADD CONSTRAINT cheap CHECK (price < 1000)",
    "0010": "CREATE UNIQUE INDEX one_extra ON books (extra)",
    "0011": "ALTER TABLE shelves ALTER COLUMN label TYPE varchar(10)",
    "0012": "ALTER TYPE size RENAME TO old_size; CREATE TYPE size AS ENUM ('small');"
    " ALTER TABLE books ALTER COLUMN size TYPE size USING 'small'::size",
}


def test_what_breaks_the_release_is_named_with_its_revision_its_model_and_the_steps(
    shop: Project,
) -> None:
    for number, statement in BREAKING.items():
        shop.revision(number, f'op.execute("{statement}")', summary=statement.split(";")[0][:30])
    outcome, release = check(shop)
    assert outcome.code == 3
    found = by_subject(release["findings"])
    by = {subject: one["revision"]["id"] for subject, one in found.items()}
    assert by == {
        "books.notes": "0002",
        "books.title": "0003",
        "authors": "0004",
        "books.pages": "0005",
        "shelves.room": "0006",
        "books.isbn": "0007",
        "books.written_at": "0008",
        "books.price": "0009",
        "books.extra": "0010",
        "shelves.label": "0011",
        "books.size": "0012",
    }
    uncertain = {subject for subject, one in found.items() if not one["certain"]}
    assert uncertain == {"books.isbn", "books.price", "books.extra", "shelves.label"}
    assert found["books.notes"]["what"] == "the column is gone"
    assert found["books.notes"]["operations"] == ["SELECT", "INSERT", "UPDATE"]
    assert found["books.title"]["what"] == "the column is called name now"
    assert found["authors"]["what"] == "the table is called writers now"
    assert "CREATE VIEW authors AS SELECT * FROM writers" in found["authors"]["instead"]
    assert found["books.pages"]["what"] == "integer is text now: it reads str, and int before"
    assert "reads date, and datetime with time zone before" in found["books.written_at"]["what"]
    assert "do not fill it" in found["shelves.room"]["what"]
    assert "may leave it empty" in found["books.isbn"]["what"]
    assert "'large'" in found["books.size"]["what"]
    assert {one["path"] for one in release["findings"]} == {"models.py"}
    assert found["books.pages"]["code"] == "pages: Mapped[int]"
    assert found["books.written_at"]["code"].startswith("written = mapped_column(")


HARMLESS = {
    "0002": "ALTER TABLE books ADD COLUMN subtitle varchar",
    "0003": "CREATE TABLE loans (id serial PRIMARY KEY, book_id integer NOT NULL REFERENCES books)",
    "0004": "CREATE INDEX ix_isbn ON books (isbn)",
    "0005": "ALTER TABLE books ALTER COLUMN title TYPE varchar(80)",
    "0006": "ALTER TYPE size ADD VALUE 'huge'",
    "0007": "ALTER TABLE shelves ADD COLUMN room integer NOT NULL DEFAULT 1",
    "0008": "ALTER TABLE authors RENAME TO writers; CREATE VIEW authors AS SELECT * FROM writers",
    "0009": "ALTER TABLE books ALTER COLUMN pages TYPE bigint, ALTER COLUMN notes TYPE text",
    "0010": "ALTER TABLE shelves ADD COLUMN code text UNIQUE",
    "0011": "ALTER TABLE books ALTER COLUMN price TYPE numeric(10, 2),"
    " ADD CONSTRAINT titled CHECK (title IS NOT NULL)",
    "0012": "ALTER TABLE shelves DROP CONSTRAINT shelves_label_key, ADD UNIQUE (label, room)",
}


def test_what_the_release_survives_is_no_finding(shop: Project) -> None:
    for number, statement in HARMLESS.items():
        shop.revision(number, f'op.execute("{statement}")')
    outcome, release = check(shop)
    assert release["findings"] == []
    assert release["unchecked"] == []
    # It breaks nothing before a newer release writes it.
    (warning,) = release["warnings"]
    assert warning["subject"] == "books.size"
    assert "'huge'" in warning["what"]
    assert "LookupError" in warning["what"]
    assert len(release["pending"]) == 11
    assert release["statements"] > 20
    assert outcome.code == 3  # of the models, which are behind


def test_values_that_a_revision_writes_and_the_release_cannot_read_are_found(
    shop: Project,
) -> None:
    shop.revision("0002", "op.execute(\"ALTER TYPE size ADD VALUE 'huge'\")")
    shop.revision("0003", "op.execute(\"UPDATE books SET size = 'huge'\")")
    shop.revision(
        "0004",
        "op.execute('ALTER TABLE books ALTER COLUMN notes TYPE jsonb USING to_jsonb(pages)')",
    )
    _, release = check(shop)
    found = by_subject(release["findings"])
    assert set(found) == {"books.size", "books.notes"}
    assert found["books.size"]["certain"]
    assert "LookupError" in found["books.size"]["what"]
    assert "reads int, and str before" in found["books.notes"]["what"]
