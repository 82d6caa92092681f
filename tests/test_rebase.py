"""`create-migration --rebase`: one of two heads on top of the other."""

from __future__ import annotations

import time

import pytest

from tests.support.project import Project


@pytest.fixture
def branched(migrated: Project) -> Project:
    """Three applied revisions; 0004 of somebody else's, 0005 and 0006 of mine, on top of them."""
    migrated.table("0004", "four")
    migrated.revision("0005", "op.execute('CREATE TABLE five ()')", down_revision="0003")
    migrated.table("0006", "six")
    return migrated


def test_a_branch_goes_on_top_of_the_other_head(branched: Project, door: str) -> None:
    sources = {path: path.read_text() for path in branched.revision_files}
    outcome = branched.run("create-migration", "--rebase", "0006", door=door).succeeded()
    assert "0005.py: follows 0004 now" in outcome.out
    changed = {path.stem for path, text in sources.items() if path.read_text() != text}
    assert changed == {"0005"}
    branched.run("upgrade").succeeded()
    assert branched.query("SELECT version_num FROM alembic_version") == [("0006",)]
    assert {"four", "five", "six"} <= set(branched.tables)


def test_an_applied_revision_is_not_moved(branched: Project) -> None:
    branched.query("UPDATE alembic_version SET version_num = '0005'")
    before = [path.read_text() for path in branched.revision_files]
    outcome = branched.run("create-migration", "--rebase", "0006").failed(1)
    assert "0005 is applied there" in outcome.error
    assert [path.read_text() for path in branched.revision_files] == before


@pytest.mark.parametrize("revision", ["0005", "0001"])
def test_only_one_of_two_heads_is_moved(branched: Project, revision: str) -> None:
    outcome = branched.run("create-migration", "--rebase", revision).failed(2)
    assert "is not one of two heads" in outcome.error


def test_several_heads_are_both_named_with_both_ways_out(branched: Project) -> None:
    outcome = branched.run("create-migration", "-m", "x").failed(2)
    assert "0004, 0006" in outcome.error
    assert "--rebase" in outcome.hint
    assert "alembic merge" in outcome.hint


def test_the_file_keeps_its_line_ends_its_mark_and_its_encoding(branched: Project) -> None:
    path = branched.root / "alembic" / "versions" / "0005.py"
    text = path.read_text().replace("revision 0005", "Pagamentos não feitos\n\nRevises: 0003\n")
    for encoding, line in (("utf-8-sig", ""), ("latin-1", "# -*- coding: latin-1 -*-\n")):
        before = (line + text).replace("\n", "\r\n").encode(encoding)
        path.write_bytes(before)
        branched.run("create-migration", "--rebase", "0006").succeeded()
        expected = before.replace(b"down_revision = '0003'", b'down_revision = "0004"')
        assert path.read_bytes() == expected.replace(b"Revises: 0003", b"Revises: 0004")


def test_without_a_server_the_branch_is_put_on_top_at_once(branched: Project) -> None:
    branched.url = "postgresql://u:hunter2@127.0.0.1:1/app"
    started = time.monotonic()
    outcome = branched.run("create-migration", "--rebase", "0006").succeeded()
    assert time.monotonic() - started < 15
    assert "0005.py: follows 0004 now" in outcome.out
    assert "note: no database was asked whether it has them: 127.0.0.1:1/app: " in outcome.out
