"""Renames that are more than a new name: another schema, two names swapped, names in a circle."""

from __future__ import annotations

import pytest

from db_ops.errors import RenameUndecided, UsageError
from tests.support.migrations import (
    CONVENTION,
    apply_and_agree,
    create,
    forth_back_forth,
    proven,
    text_of,
    write_models,
)
from tests.support.project import Project

MOVED = """
counter = sa.Sequence("counter", schema={schema!r}, metadata=Base.metadata)


class Account(Base):
    __tablename__ = "accounts"
    __table_args__ = (sa.CheckConstraint("name <> ''", name="name"), {{"schema": {schema!r}}})
    id = mapped_column(sa.Integer, primary_key=True)
    name = mapped_column(sa.String(20), index=True, unique=True)
    kind = mapped_column(sa.Enum("a", "b", name="kind", schema={schema!r}), server_default="a")
    number = mapped_column(sa.Integer, counter, server_default=counter.next_value())
    boss_id = mapped_column(sa.ForeignKey({prefix!r} "accounts.id"))


class Order(Base):
    __tablename__ = "orders"
    id = mapped_column(sa.Integer, primary_key=True)
    account_id = mapped_column(sa.ForeignKey({prefix!r} "accounts.id"), nullable=False)
"""
ROWS = """
    INSERT INTO accounts (name, kind, boss_id)
        VALUES ('x', 'b', NULL), ('y', 'a', 1), ('z', NULL, 2);
    INSERT INTO orders (account_id) VALUES (1), (3)
"""


def test_a_table_in_another_schema_is_asked_about_and_moved_with_all_that_is_its_own(
    project: Project,
) -> None:
    write_models(project, MOVED.format(schema=None, prefix=""), CONVENTION)
    proven(create(project, "create"))
    project.prepare("init")
    project.query(ROWS)
    write_models(project, MOVED.format(schema="app", prefix="app."), CONVENTION)
    outcome = project.run("create-migration", "-m", "move").failed(4)
    assert "table accounts is gone, app.accounts is new: moved to another schema?" in outcome.error
    assert "--rename accounts:app.accounts" in outcome.hint
    assert "--rename counter:app.counter" in outcome.hint
    answers = ["accounts:app.accounts", "counter:app.counter"]
    result = proven(create(project, "move", rename=answers))
    assert not result.losses
    assert "move table accounts to app.accounts" in result.operations
    assert "move enum kind to app.kind" in result.operations
    text = text_of(project, result)
    assert "create_table" not in text
    assert "CREATE INDEX" not in text
    values = "SELECT id, name, kind::text, number, boss_id FROM {} ORDER BY 1"
    before = project.query(values.format("accounts"))
    apply_and_agree(project)
    assert project.query(values.format("app.accounts")) == before
    new = "INSERT INTO app.accounts (name) VALUES ('new') RETURNING id, number"
    assert project.query(new) == [(4, 4)]
    project.run("downgrade").succeeded()
    assert project.query(values.format("accounts"))[:3] == before
    assert project.query("INSERT INTO accounts (name) VALUES ('u') RETURNING id") == [(5,)]
    assert project.query("SELECT nspname FROM pg_namespace WHERE nspname = 'app'") == []
    project.run("upgrade").succeeded()
    assert project.query(
        "SELECT count(*) FROM orders JOIN app.accounts a ON a.id = account_id"
    ) == [(2,)]
    # Back into public, under another name: one answer for both.
    write_models(
        project,
        MOVED.format(schema=None, prefix="")
        .replace('"accounts', '"clients')
        .replace('sa.Sequence("counter", schema=None', 'sa.Sequence("counter", schema="app"'),
        CONVENTION,
    )
    result = proven(create(project, "back", rename=["app.accounts:public.clients"]))
    assert "move table app.accounts to public.clients" in result.operations
    apply_and_agree(project)
    assert project.query("SELECT count(*) FROM clients") == [(5,)]


SWAP = """
class A(Base):
    __tablename__ = {0!r}
    id = mapped_column(sa.Integer, primary_key=True)
    x = mapped_column(sa.Text, index=True)
    y = mapped_column(sa.Text)


class B(Base):
    __tablename__ = {1!r}
    id = mapped_column(sa.Integer, primary_key=True)
    z = mapped_column(sa.Text, unique=True)
    {2} = mapped_column(sa.Integer, server_default="3")
    {3} = mapped_column(sa.Text)
    {4} = mapped_column(sa.Date)
"""


def test_names_that_are_swapped_are_asked_about_and_go_by_way_of_a_third(project: Project) -> None:
    write_models(project, SWAP.format("a", "b", "m", "n", "o"))
    proven(create(project, "create"))
    project.prepare("init")
    project.query("INSERT INTO a (x, y) VALUES ('1', '2'), (NULL, '')")
    project.query(
        "INSERT INTO b (z, m, n, o) VALUES ('5', 6, '7', '2020-01-01'), ('', 0, NULL, NULL)"
    )
    rows = project.query("SELECT z, m, n, o FROM b ORDER BY id")
    # Two tables.
    write_models(project, SWAP.format("b", "a", "m", "n", "o"))
    with pytest.raises(RenameUndecided, match="a and b have each other's columns: names swapped"):
        create(project)
    outcome = project.run("create-migration", "-m", "swap").failed(4)
    assert outcome.hint.count("--rename") == 1
    result = proven(create(project, "swap", rename=["a:b"]))
    assert result.operations[:2] == ("rename table a to b", "rename table b to a")
    assert not result.losses
    apply_and_agree(project)
    assert project.query("SELECT z, m, n, o FROM a ORDER BY id") == rows
    (stop, *_) = forth_back_forth(project, "SELECT to_jsonb(a) ->> 'z' FROM a ORDER BY id")
    assert stop == [("5",), ("",)]
    assert project.query("SELECT x, y FROM b ORDER BY id") == [("1", "2"), (None, "")]
    # Two columns of other types, and three in a circle.
    write_models(project, SWAP.format("b", "a", "n", "m", "o"))
    outcome = project.run("create-migration", "-m", "swap").failed(4)
    assert "columns a.m and a.n have each other's type: names swapped?" in outcome.error
    write_models(project, SWAP.format("b", "a", "n", "o", "m"))
    result = proven(create(project, "circle", rename=["a.m:n", "a.n:o", "a.o:m"]))
    assert len(result.operations) == 3
    apply_and_agree(project)
    assert project.query("SELECT z, n, o, m FROM a ORDER BY id") == rows
    project.run("downgrade").succeeded()
    assert project.query("SELECT z, m, n, o FROM a ORDER BY id") == rows


def test_a_name_is_taken_over_from_what_is_dropped(project: Project) -> None:
    model = "\n\nclass {0}(Base):\n    __tablename__ = {1!r}\n    id: Mapped[int] = {2}\n{3}"
    column = "    {} = mapped_column(sa.{})\n"
    key = "mapped_column(primary_key=True)"

    def write(*models: tuple[str, str]) -> None:
        texts = (model.format(name.title(), name, key, rest) for name, rest in models)
        write_models(project, "".join(texts))

    new = column.format("new", "Text")
    write(("one", column.format("x", "Text") + column.format("y", "Date")), ("two", new))
    proven(create(project, "create"))
    project.prepare("init")
    project.query("INSERT INTO one (x, y) VALUES ('kept', '2020-01-01')")
    project.query("INSERT INTO two (new) VALUES ('lost'), ('as well')")
    write(("two", column.format("y", "Text")))
    result = proven(create(project, "take over", rename=["one:two", "one.x:y"]))
    assert set(result.losses) == {
        "drops table two with all its rows",
        "drops column two.y with its values",
    }
    apply_and_agree(project)
    assert project.query("SELECT y FROM two") == [("kept",)]
    project.run("downgrade").succeeded()
    assert project.query("SELECT x, y FROM one") == [("kept", None)]
    assert project.query("SELECT new FROM two") == []


def test_a_hint_never_offers_answers_that_exclude_each_other(project: Project) -> None:
    table = """
    class T(Base):
        __tablename__ = "t"
        id = mapped_column(sa.Integer, primary_key=True)
        {} = mapped_column(sa.Text)
        {} = mapped_column(sa.Text)
        {} = mapped_column(sa.Text, nullable=False, server_default="")
    """
    write_models(project, table.format("street", "city", "zip"))
    proven(create(project, "create"))
    project.prepare("init")
    project.query("INSERT INTO t (street, city, zip) VALUES ('s', 'c', 'z')")
    write_models(project, table.format("street_name", "city_name", "code"))
    outcome = project.run("create-migration", "-m", "new names").failed(4)
    answers = ["t.street:street_name", "t.city:city_name", "t.zip:code"]
    assert all(f"--rename {answer}" in outcome.hint for answer in answers)
    assert outcome.hint.count("--rename") == 3
    for wrong in (["t.street:code", "t.zip:code"], ["t.street:city", "t.zip:zip"], ["t.id:id"]):
        with pytest.raises(UsageError, match="--rename"):
            create(project, rename=wrong)
    command = outcome.hint.partition("create-migration ")[2].partition("; if not")[0]
    assert command.startswith("-m 'new names' --rename")
    proven(create(project, "new names", rename=answers))
    apply_and_agree(project)
    assert project.query("SELECT street_name, city_name, code FROM t") == [("s", "c", "z")]


def test_a_type_that_only_has_another_name_is_renamed(project: Project) -> None:
    table = """
    class T(Base):
        __tablename__ = "t"
        id = mapped_column(sa.Integer, primary_key=True)
        kind = mapped_column(sa.Enum("a", "b", name={!r}), server_default="a", nullable=False)
    """
    write_models(project, table.format("kind"))
    proven(create(project, "create"))
    project.prepare("init")
    project.query("INSERT INTO t (kind) VALUES ('b'), ('a')")
    place = project.query("SELECT pg_relation_filenode('t')")
    write_models(project, table.format("Sort Of"))
    result = proven(create(project, "another name"))
    assert result.operations == ("rename enum kind to Sort Of",)
    apply_and_agree(project)
    assert project.query("SELECT pg_relation_filenode('t')") == place
    found = forth_back_forth(project, "SELECT kind::text FROM t ORDER BY id")
    assert found == [[("b",), ("a",)]] * 3
