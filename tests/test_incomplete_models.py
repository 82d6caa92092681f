"""Models of which env.py imports nothing, or only a part."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.foreign import KINDS, ForeignProject, copy_project
from tests.support.launcher import Launcher
from tests.support.project import Project, query

_BY_NAME = {kind.name: kind for kind in reversed(KINDS)}
BASE = """
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    pass
"""
SHELF = """
import sqlalchemy as sa
from base import Base
from sqlalchemy.orm import Mapped, mapped_column


class Shelf(Base):
    __tablename__ = "shelves"

    id: Mapped[int] = mapped_column(primary_key=True)
    room: Mapped[str] = mapped_column(sa.String(40))
"""
BOOK = """
import sqlalchemy as sa
from base import Base
from sqlalchemy.orm import Mapped, mapped_column


class Book(Base):
    __tablename__ = "books"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(sa.Text)
    shelf_id: Mapped[int | None] = mapped_column(sa.ForeignKey("shelves.id"))
"""


@pytest.fixture
def split(tmp_path: Path, new_database_url: str, launcher: Launcher) -> ForeignProject:
    """Somebody's project whose models lie in two modules, of which env.py imports none."""
    project = copy_project(_BY_NAME["ini_url"], tmp_path / "split", new_database_url, launcher)
    for name, text in (("base", BASE), ("shelf", SHELF), ("book", BOOK)):
        (project.root / f"{name}.py").write_text(text)
    (project.root / "models.py").unlink()
    project.edit("alembic/env.py", "from models import Base", "from base import Base")
    (project.root / "alembic" / "versions" / "0003.py").write_text(
        "from alembic import op\nimport sqlalchemy as sa\n"
        "revision, down_revision = '0003', '0002'\n"
        "def upgrade():\n"
        "    op.add_column('books', sa.Column('shelf_id', sa.Integer))\n"
        "    op.create_foreign_key(None, 'books', 'shelves', ['shelf_id'], ['id'])\n"
        "def downgrade():\n    op.drop_column('books', 'shelf_id')\n"
    )
    return project


def name_models(project: ForeignProject | Project, *modules: str) -> None:
    (project.root / "pyproject.toml").write_text(f"[tool.db_ops]\nmodels = {list(modules)}\n")


def test_without_a_model_nobody_is_told_to_remove_tables_and_named_modules_are_imported(
    split: ForeignProject,
) -> None:
    split.run("init").succeeded()
    outcome = split.run("verify")
    assert outcome.code == 3
    assert "the metadata of the models is empty" in outcome.out
    assert 'models = ["package.module"]' in outcome.out
    assert "remove" not in outcome.out
    assert "books" not in outcome.out
    assert 'models = ["package.module"]' in split.run("create-migration", "-m", "x").failed(1).hint
    name_models(split, "book", "shelf")
    assert "models, migrations and database agree" in split.run("verify").succeeded().out


def test_a_table_that_a_model_refers_to_and_nothing_defines_is_named_with_its_module(
    split: ForeignProject,
) -> None:
    split.run("init").succeeded()
    name_models(split, "book")
    outcome = split.run("verify")
    assert outcome.code == 3
    said = "book.py:12: books.shelf_id refers to table 'shelves', which no imported module defines"
    assert said in outcome.out
    assert 'models = ["shelf"]' in outcome.out
    # What the models have is compared all the same.
    split.edit("book.py", "sa.Text", "sa.String(9)")
    outcome = split.run("verify")
    assert "column public.books.title: type: the models are ahead" in outcome.out
    assert "shelves:" not in outcome.out
    refused = split.run("create-migration", "-m", "x").failed(1)
    assert said in refused.error
    assert 'models = ["shelf"]' in refused.hint


def test_revisions_of_sql_alone_are_compared_with_the_database(split: ForeignProject) -> None:
    split.edit("alembic/env.py", "from base import Base\n", "")
    env_py = split.root / "alembic" / "env.py"
    env_py.write_text(env_py.read_text().replace("Base.metadata", "None"))
    split.run("init").succeeded()
    outcome = split.run("verify")
    assert "the metadata of the models is empty" in outcome.out
    assert "remove" not in outcome.out
    query(split.url, "ALTER TABLE books ADD COLUMN by_hand int")
    assert "by_hand: changed by hand" in split.run("verify").out


@pytest.mark.parametrize("models", [("book", "shelf"), ("tables",)], ids=["modules", "package"])
def test_named_modules_stand_in_where_env_py_gives_no_metadata(
    split: ForeignProject, models: tuple[str, ...]
) -> None:
    split.edit("alembic/env.py", "from base import Base\n", "")
    env_py = split.root / "alembic" / "env.py"
    env_py.write_text(env_py.read_text().replace("Base.metadata", "None"))
    if models == ("tables",):
        # The package holds no model itself, and one of its modules only a Table.
        (split.root / "tables").mkdir()
        (split.root / "tables" / "__init__.py").write_text("from tables import book, shelf\n")
        (split.root / "book.py").rename(split.root / "tables" / "book.py")
        (split.root / "shelf.py").rename(split.root / "tables" / "shelf.py")
    split.run("init").succeeded()
    said = split.run("doctor").out
    assert "has no target_metadata: models cannot be compared" in said
    assert 'models = ["package.module"]' in said
    name_models(split, *models)
    assert "models, migrations and database agree" in split.run("verify").succeeded().out
    book = "tables/book.py" if models == ("tables",) else "book.py"
    split.edit(book, "sa.Text)", "sa.Text)\n    pages: Mapped[int | None]")
    split.run("create-migration", "-m", "pages").succeeded()
    split.run("upgrade").succeeded()
    assert query(split.url, "SELECT pages FROM books") == []


def test_a_named_module_that_does_not_import_is_told_with_its_line(split: ForeignProject) -> None:
    name_models(split, "book", "no_such")
    error = split.run("status").failed(1).error
    assert "(named in [tool.db_ops] models: no_such)" in error
    (split.root / "no_such.py").write_text("\nx = 1 / 0\n")
    assert split.run("status").failed(1).error.startswith("no_such.py:2: ")


def test_named_modules_count_for_an_env_py_of_ours_and_for_plain_alembic(project: Project) -> None:
    (project.root / "alembic" / "env.py").write_text(
        "import sys\nsys.path.insert(0, '')\nfrom base import Base\n"
        "from db_ops import run_migrations\nrun_migrations(Base.metadata)\n"
    )
    for name, text in (("base", BASE), ("shelf", SHELF)):
        (project.root / f"{name}.py").write_text(text)
    name_models(project, "shelf")
    project.run("create-migration", "-m", "shelves").succeeded()
    project.run("init").succeeded()
    assert project.tables == ["alembic_version", "shelves"]
    project.run("verify").succeeded()
    assert "No new upgrade operations" in project.alembic("check").succeeded().out
