"""`diagram`: the schema and the revision graph, as Mermaid, and whether a file is true."""

from __future__ import annotations

import re

import pytest

from tests.support.project import Project

FAILED, MISUSED, DIFFERENT = 1, 2, 3
SCHEMA = """
op.execute('''
    CREATE SCHEMA other;
    CREATE TABLE author (id int PRIMARY KEY, name varchar(50) NOT NULL UNIQUE, mentor int
        REFERENCES author);
    CREATE TABLE other.book (isbn text PRIMARY KEY, author int NOT NULL REFERENCES author,
        written timestamptz, price numeric(10,2), "odd ""name" text[]);
    CREATE TABLE cover (book text PRIMARY KEY REFERENCES other.book);
    CREATE TABLE sale (id int, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
    CREATE TABLE sale_2020 PARTITION OF sale FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
''')
"""


@pytest.fixture
def library(project: Project) -> Project:
    """A project with references of every kind."""
    project.revision("0001", SCHEMA)
    project.prepare("init")
    return project


def test_mermaid_has_tables_columns_keys_and_references(library: Project, door: str) -> None:
    text = library.run("diagram", door=door).succeeded().out
    assert text.startswith('erDiagram\n    "author" {\n        integer id PK\n')
    assert "        varchar(50) name UK\n" in text
    assert "        integer mentor FK\n" in text
    assert "        numeric(10_2) price\n" in text
    assert "        text[] odd_name\n" in text
    assert '    "author" }o--o| "author" : "mentor"\n' in text
    assert '    "cover" |o--|| "other.book" : "book"\n' in text
    assert '    "other.book" }o--|| "author" : "author"\n' in text
    assert '"sale" {' in text
    assert "2020" not in text
    assert "alembic_version" not in text


@pytest.mark.parametrize("name", ["schema.mmd", "SCHEMA.MD"])
def test_a_second_time_nothing_is_written_and_check_is_content(library: Project, name: str) -> None:
    assert library.run("diagram", "--check", "--output", name).code == DIFFERENT
    assert not (library.root / name).exists()
    library.run("diagram", "--output", name).succeeded()
    before = (library.root / name).stat().st_mtime_ns
    assert "up to date" in library.run("diagram", "-o", name).succeeded().out
    assert (library.root / name).stat().st_mtime_ns == before
    library.run("diagram", "--check", "--output", name).succeeded()


def test_check_exits_3_when_the_schema_has_changed(library: Project) -> None:
    library.run("diagram", "--output", "schema.mmd").succeeded()
    library.revision("0002", "op.execute('ALTER TABLE author ADD COLUMN born date')")
    library.run("upgrade").succeeded()
    outcome = library.run("diagram", "--check", "--output", "schema.mmd")
    assert outcome.code == DIFFERENT
    assert "diagram --output schema.mmd" in outcome.out
    assert "born" not in (library.root / "schema.mmd").read_text()
    library.run("diagram", "--output", "schema.mmd").succeeded()
    library.run("diagram", "--check", "--output", "schema.mmd").succeeded()


def test_markdown_holds_mermaid_in_a_fence(library: Project) -> None:
    library.run("diagram", "--output", "schema.md").succeeded()
    text = (library.root / "schema.md").read_text()
    assert text.startswith("```mermaid\nerDiagram\n")
    assert text.endswith("```\n")


def test_a_database_behind_its_migrations_is_not_drawn(library: Project) -> None:
    library.table("0002", "more")
    assert "pending: 0002" in library.run("diagram").failed(FAILED).error


def test_revisions_need_no_database(project: Project) -> None:
    project.url = "postgresql://nobody@127.0.0.1:1/nothing"
    project.table("0001", "one")
    project.revision("0002a", down_revision="0001", summary='say "a" & <b>')
    project.revision("0002b", down_revision="0001")
    project.revision("0003", down_revision=("0002a", "0002b"))
    text = project.run("diagram", "--revisions").succeeded().out
    assert text.startswith("flowchart TB\n")
    assert "say #34;a#34; #38; #60;b#62;" in text
    assert len(re.findall("-->", text)) == 4


@pytest.mark.parametrize(
    "arguments",
    [("--check",), ("--output", "schema.svg"), ("--output", "no/such/folder.md")],
)
def test_what_cannot_be_written_is_misuse(library: Project, arguments: tuple[str, ...]) -> None:
    library.run("diagram", *arguments).failed(MISUSED)
    assert [
        path for path in library.root.rglob("*") if path.suffix in (".svg", ".md", ".mmd")
    ] == []


def test_an_empty_schema_and_no_revision_can_be_drawn(project: Project) -> None:
    project.run("init").succeeded()
    project.run("diagram", "-o", "a.mmd", "diagram", "--revisions", "-o", "r.mmd").succeeded()
    assert (project.root / "a.mmd").read_text() == "erDiagram\n"
    assert (project.root / "r.mmd").read_text() == "flowchart TB\n"
