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
        written: Mapped[datetime] = mapped_column(
            "written_at", sa.DateTime(True), server_default=sa.func.now())
        size: Mapped[Size]
        notes: Mapped[str | None]
        price: Mapped[Decimal] = mapped_column(sa.Numeric(8, 2), default=Decimal(1))
        seen: Mapped[datetime | None] = mapped_column(onupdate=datetime.now)
        extra: Mapped[dict | None] = mapped_column(JSONB)
"""
FIRST = """
    op.execute("CREATE TYPE size AS ENUM ('small', 'large')")
    op.execute('''
        CREATE TABLE shelves (id serial, label varchar(20) NOT NULL,
            CONSTRAINT pk_shelves PRIMARY KEY (id), CONSTRAINT uq_shelves_label UNIQUE (label));
        CREATE TABLE authors (id serial, name varchar NOT NULL,
            CONSTRAINT pk_authors PRIMARY KEY (id));
        CREATE TABLE books (id serial, title varchar(40) NOT NULL,
            shelf_id integer NOT NULL CONSTRAINT fk_books_shelf_id_shelves REFERENCES shelves,
            isbn varchar, pages integer NOT NULL, written_at timestamptz NOT NULL DEFAULT now(),
            size size NOT NULL, notes varchar, price numeric(8, 2) NOT NULL, seen timestamp,
            extra jsonb, CONSTRAINT pk_books PRIMARY KEY (id))''')
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
    (project.root / ".gitignore").write_text(".env\n__pycache__/\n.db_ops/\ncache/\n")
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
    assert found["books.written_at"]["code"] == "written: Mapped[datetime] = mapped_column("


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
    "0012": "ALTER TABLE shelves DROP CONSTRAINT uq_shelves_label, ADD UNIQUE (label, room)",
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


def test_a_migration_is_told_what_it_does_to_the_release_when_it_is_written(
    shop: Project, door: str
) -> None:
    changed = MODELS.replace("isbn: Mapped[str | None]", "isbn: Mapped[str]")
    shop.models(changed.replace("        name: Mapped[str]\n", ""))
    before = (
        git(shop.root, "status", "--porcelain", "--ignored"),
        git(shop.root, "worktree", "list"),
    )
    outcome = shop.run("create-migration", "-m", "no names", "--against", "1.0", door=door)
    assert "breaks: authors.name: the column is gone" in outcome.out
    assert "model models.py:" in outcome.out
    assert "may break: books.isbn: the column is NOT NULL now" in outcome.out
    assert "instead: release first" in outcome.out
    assert outcome.code == 0
    shop.newest_file.unlink()
    now = git(shop.root, "status", "--porcelain", "--ignored"), git(shop.root, "worktree", "list")
    new = set(now[0].splitlines()) - set(before[0].splitlines())
    written_by_python = {line for line in new if line.endswith("__pycache__/")}
    assert new - written_by_python <= {"!! cache/", "?? alembic/"}
    assert now[1] == before[1]


def test_a_plan_shows_what_becomes_of_the_release_and_counts_it_if_asked(shop: Project) -> None:
    shop.prepare("init")
    shop.revision("0002", "op.drop_column('authors', 'name')", summary="no names")
    outcome = shop.run("upgrade", "--plan", "--against", "1.0")
    assert outcome.code == 0
    assert "1.0 (" in outcome.out
    assert "does not survive 1 revision after it" in outcome.out
    assert "by 0002 alembic/versions/0002.py; SELECT, INSERT, UPDATE" in outcome.out
    counted = shop.run("upgrade", "--plan", "--check", "--against", "1.0", "--json")
    assert counted.code == 3
    (finding,) = json.loads(counted.out)["release"]["findings"]
    assert finding["subject"] == "authors.name"
    assert shop.query("SELECT version_num FROM alembic_version") == [("0001",)]
    refused = shop.run("upgrade", "--against", "1.0")
    assert refused.code == 2
    assert "upgrade --plan --against REF" in refused.err


def test_nothing_is_run_where_no_revision_follows_the_release(shop: Project) -> None:
    outcome = shop.run("check-models", "--against", "1.0")
    assert "no revision follows it (0001)" in outcome.out
    assert outcome.code == 0


def test_a_release_that_cannot_be_looked_at_is_told_with_what_helps(
    shop: Project, tmp_path: Path
) -> None:
    unknown = shop.run("check-models", "--against", "2.0")
    assert unknown.code == 2
    assert "--against 2.0: git knows no such tag, branch or commit" in unknown.err
    option = shop.run("check-models", "--against=--help")
    assert option.code == 2
    assert "git knows no such" in option.err

    # Its models need what is not there.
    (shop.root / "models.py").write_text("import sqlalchemy\nimport gone_package\n")
    commit(shop.root, "broken")
    shop.models(MODELS)
    shop.revision("0002", "op.drop_column('authors', 'name')")
    broken = shop.run("check-models", "--against", "broken")
    assert broken.code == 1
    assert "models.py:2: its models do not import here: ModuleNotFoundError" in broken.err
    assert "import gone_package" in broken.err

    # It has a revision that this checkout lacks.
    commit(shop.root, "ahead")
    (shop.root / "alembic" / "versions" / "0002.py").unlink()
    ahead = shop.run("check-models", "--against", "ahead")
    assert ahead.code == 1
    assert "has revisions that this checkout has not: 0002" in ahead.err
    assert "git merge ahead" in ahead.err

    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{shop.root}", str(shallow))
    (shop.root / ".git").rename(tmp_path / "git")
    without = shop.run("check-models", "--against", "1.0")
    assert without.code == 2
    assert "is in no git repository" in without.err
    shop.root = shallow
    clone = shop.run("check-models", "--against", "1.0")
    assert clone.code == 2
    assert "this clone is shallow" in clone.err
    assert "fetch-depth: 0" in clone.err


def test_the_release_is_imported_from_its_own_files_with_what_git_ignores(
    shop: Project,
) -> None:
    (shop.root / "settings").mkdir()
    (shop.root / "settings" / "__init__.py").write_text("from settings.names import AUTHORS\n")
    (shop.root / "settings" / "names.py").write_text("AUTHORS = 'authors'\n")
    shop.models("from settings import AUTHORS\nfrom local import LOCAL\n" + MODELS)
    source = (shop.root / "models.py").read_text()
    (shop.root / "models.py").write_text(
        "from settings import AUTHORS\nfrom local import LOCAL\nassert LOCAL\n"
        + source.split("from local import LOCAL\n")[0].replace("from settings import AUTHORS\n", "")
        + __import__("textwrap").dedent(MODELS).replace('"authors"', "AUTHORS")
    )
    with (shop.root / ".gitignore").open("a") as ignore:
        ignore.write("local.py\n")
    (shop.root / "local.py").write_text("LOCAL = True\n")
    commit(shop.root, "2.0")
    # The models of now, in the same modules, have another name.
    (shop.root / "settings" / "names.py").write_text("AUTHORS = 'writers'\n")
    shop.revision("0002", "op.rename_table('authors', 'writers')")
    outcome = shop.run("check-models", "--against", "2.0", "--json")
    (finding,) = json.loads(outcome.out)["release"]["findings"]
    assert finding["subject"] == "authors"
    assert not list(
        Path(os.environ.get("TMPDIR", "/tmp")).glob("db_ops_release_*/checkout/local.py")
    )
