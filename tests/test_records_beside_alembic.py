"""Plain `alembic revision --autogenerate` does not see our records, whatever env.py includes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.foreign import KINDS, ForeignProject, copy_project
from tests.support.launcher import Launcher
from tests.support.project import ALEMBIC, query

FILTER = "include_object=is_ours,"
WITHOUT_PLUGIN = 'autogenerate_plugins=["alembic.autogenerate.*", "~alembic.autogenerate.db_ops"],'
RECORDS = "SELECT count(*) FROM pg_class WHERE oid = to_regclass('db_ops.history')"


@pytest.fixture
def shelf(tmp_path: Path, new_database_url: str, launcher: Launcher) -> ForeignProject:
    """A project whose env.py is not ours and includes every schema."""
    kind = next(one for one in KINDS if one.name == "include_schemas")
    return copy_project(kind, tmp_path / "service", new_database_url, launcher)


def generated(shelf: ForeignProject) -> str:
    before = set(shelf.root.rglob("versions/*.py"))
    shelf.alembic("revision", "--autogenerate", "-m", "nothing").succeeded()
    (written,) = set(shelf.root.rglob("versions/*.py")) - before
    text = written.read_text()
    written.unlink()
    return text


@pytest.mark.skipif(ALEMBIC < (1, 18), reason="Alembic has plugins since 1.18")
def test_with_all_schemas_included_the_records_are_not_dropped(shelf: ForeignProject) -> None:
    shelf.edit("alembic/env.py", FILTER, "")
    shelf.run("init").succeeded()
    assert query(shelf.url, "SELECT count(*) FROM db_ops.history") == [(2,)]
    assert "agree" in shelf.run("verify").succeeded().out
    text = generated(shelf)
    assert "drop_table" not in text
    assert "history" not in text
    # A table of somebody else's is still seen, as env.py asks for.
    query(shelf.url, "CREATE SCHEMA other; CREATE TABLE other.thing (id int)")
    assert "op.drop_table('thing', schema='other')" in generated(shelf)


def test_where_alembic_would_see_them_none_are_kept_and_that_is_said(
    shelf: ForeignProject,
) -> None:
    shelf.edit("alembic/env.py", FILTER, WITHOUT_PLUGIN if ALEMBIC >= (1, 18) else "")
    outcome = shelf.run("init").succeeded()
    assert "autogenerate would see the records, and drop them" in outcome.err
    assert "include_name leave out schema db_ops" in outcome.err
    assert query(shelf.url, RECORDS) == [(0,)]
    assert "drop_table" not in generated(shelf)


def test_a_filter_that_leaves_the_schema_out_lets_them_be_kept(shelf: ForeignProject) -> None:
    by_name = 'include_name=lambda name, kind, parents: kind != "schema" or name == "archive",'
    plugin = WITHOUT_PLUGIN if ALEMBIC >= (1, 18) else ""
    shelf.edit("alembic/env.py", FILTER, by_name + plugin)
    outcome = shelf.run("init").succeeded()
    assert "records" not in outcome.err
    assert query(shelf.url, RECORDS) == [(1,)]
    assert "drop_table" not in generated(shelf)
