"""`verify` of what agreed, and has not changed since: `alembic check` is not run again."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from tests.conftest import with_database
from tests.support.doors import run
from tests.support.project import Project

KEPT = {"alembic check": "cache", "database": "catalogs", "migrations": "cache", "models": "cache"}
MODELS = "import os, shared\n\nos.environ.get('OF_MODELS')\n" + "".join(
    f"""
class {name.title()}(Base):
    __tablename__ = "{name}"
    id: Mapped[int] = mapped_column(sa.Integer, autoincrement=False)
    __table_args__ = (sa.PrimaryKeyConstraint("id", name="{name}_pkey"),)
"""
    for name in ("one", "two", "three")
)
ENV_PY, APPLIED = "alembic/env.py", "alembic/versions/0001.py"
Change = Callable[[Project], AbstractContextManager[None]]


@pytest.fixture
def migrated(migrated: Project) -> Project:
    """A project with models for its tables."""
    (migrated.root / "shared.py").write_text("ONE = 1\n")
    migrated.models(MODELS)
    return migrated


@pytest.fixture
def agreed(migrated: Project) -> Project:
    """A project whose comparison is kept."""
    first, again = verified(migrated), verified(migrated)
    assert "alembic check" not in first.pop("sides")
    assert again.pop("sides") == KEPT
    assert list(again.pop("seconds")) == ["database"]
    del first["seconds"]
    assert again == first
    return migrated


def verified(project: Project, *options: str, code: int = 0) -> dict[str, Any]:
    outcome = project.run("verify", "--json", *options)
    assert outcome.code == code, outcome.out + outcome.err
    found: dict[str, Any] = json.loads(outcome.out)
    return found


def text(path: str, old: str, new: str) -> Change:
    @contextmanager
    def change(project: Project) -> Iterator[None]:
        file = project.root / path
        source = file.read_text() if file.exists() else ""
        assert old in source
        file.write_text(source.replace(old, new, 1))
        yield
        if source:
            file.write_text(source)
        else:
            file.unlink()

    return change


def sql(statement: str, back: str) -> Change:
    @contextmanager
    def change(project: Project) -> Iterator[None]:
        project.query(statement)
        yield
        project.query(back)

    return change


@contextmanager
def variable(project: Project) -> Iterator[None]:
    project.env["OF_MODELS"] = "other"
    yield
    del project.env["OF_MODELS"]


# What is changed, then taken back, and how the comparison ends.
CHANGES: tuple[tuple[Change, int], ...] = (
    (text("models.py", "sa.Integer", "sa.BigInteger"), 3),
    (text("shared.py", "1", "2"), 0),
    (variable, 0),
    (text(APPLIED, "id integer", "id integer NOT NULL"), 3),
    (text("pyproject.toml", "", '[tool.db_ops.verify]\nignore = ["public.nothing"]\n'), 0),
    (sql("ALTER TABLE one ALTER id SET DEFAULT 1", "ALTER TABLE one ALTER id DROP DEFAULT"), 3),
)


def test_what_has_changed_is_compared_again(agreed: Project) -> None:
    for change, code in CHANGES:
        with change(agreed):
            assert verified(agreed, code=code)["sides"] != KEPT
        # What differs is not kept, and so is not in the way of what agreed.
        back = verified(agreed)["sides"]
        assert (back == KEPT) == (code != 0)
    agreed.revision("0004")
    assert verified(agreed, code=3)["sides"] != KEPT


def test_table_of_an_extension_that_only_alembic_sees_counts(agreed: Project) -> None:
    agreed.query("CREATE TABLE member (id int)")
    agreed.query("ALTER EXTENSION plpgsql ADD TABLE member")
    try:
        for _ in range(2):
            found = verified(agreed)
            assert "member" in str(found["alembic"])
            assert found["sides"] != KEPT
    finally:
        agreed.query("ALTER EXTENSION plpgsql DROP TABLE member")
        agreed.query("DROP TABLE member")
    assert verified(agreed)["sides"] == KEPT
    assert verified(agreed, "--grants")["sides"] != KEPT
    assert verified(agreed, "--grants")["sides"] == KEPT


def test_filter_of_env_py_is_asked_each_time(migrated: Project) -> None:
    with text(ENV_PY, "metadata)", "metadata, include_name=lambda *asked: True)")(migrated):
        for _ in range(2):
            assert "alembic check" not in verified(migrated)["sides"]


def test_agreement_of_another_database_says_nothing_of_this_one(agreed: Project) -> None:
    first, agreed.url = agreed.url, with_database(agreed.url, "agreement_of_another")
    agreed.run("init").succeeded()
    try:
        assert verified(agreed)["sides"] != KEPT
        agreed.query("ALTER TABLE one ADD COLUMN by_hand int")
        assert verified(agreed, code=3)["sides"] != KEPT
    finally:
        agreed.run("delete-db").succeeded()
    agreed.url = first
    assert verified(agreed)["sides"] == KEPT


def test_kept_comparison_loads_neither_sqlalchemy_nor_alembic(agreed: Project) -> None:
    code = (
        "import sys, db_ops\n"
        "assert db_ops.verify(db_ops.load()).agrees\n"
        "assert not {'sqlalchemy', 'alembic', 'models'} & set(sys.modules)\n"
    )
    run([sys.executable, "-c", code], cwd=agreed.root, env=agreed.env).succeeded()
