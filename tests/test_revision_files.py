"""Revision files are read without being run, and only once."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import db_ops
from db_ops.results import Connected, Event
from db_ops.settings import DatabaseUrl, Settings
from tests.support.project import Project

OLD = 1_600_000_000


@pytest.fixture
def three(project: Project) -> Project:
    """A project with three revisions whose files were written long ago."""
    for number, name in enumerate(("one", "two", "three"), start=1):
        project.table(f"000{number}", name)
    for path in project.revision_files:
        os.utime(path, (OLD, OLD))
    return project


def heads(project: Project) -> list[str]:
    said: list[str] = json.loads(project.run("status", "--json").succeeded().out)["heads"]
    return said


def indexes(project: Project) -> list[Path]:
    return list((project.root / "cache" / "db_ops").glob("revisions-*"))


def replace(path: Path, text: str, by: str, modified: int = OLD) -> None:
    path.write_text(path.read_text().replace(text, by))
    os.utime(path, (modified, modified))


def test_the_index_is_one_file_in_the_users_cache_folder(three: Project) -> None:
    assert heads(three) == ["0003"]
    assert len(indexes(three)) == 1


def test_an_indexed_file_is_not_read_again(three: Project) -> None:
    heads(three)
    # The same name, size and time: all that the index knows of a file.
    replace(three.revision_files[-1], "'0003'", "'9999'")
    assert heads(three) == ["0003"]


@pytest.mark.parametrize("change", ["time", "size", "name"])
def test_a_changed_file_is_read_again(three: Project, change: str) -> None:
    heads(three)
    path = three.revision_files[-1]
    if change == "time":
        replace(path, "'0003'", "'9999'", OLD + 1)
    elif change == "size":
        replace(path, "'0003'", "'9999' ")
    else:
        replace(path, "'0003'", "'9999'")
        path.rename(path.with_name("renamed.py"))
    assert heads(three) == ["9999"]


def test_a_file_that_was_just_written_is_not_trusted_to_stay(three: Project) -> None:
    path = three.revision_files[-1]
    path.touch()
    heads(three)
    modified = path.stat().st_mtime_ns
    path.write_text(path.read_text().replace("'0003'", "'9999'"))
    os.utime(path, ns=(modified, modified))
    assert heads(three) == ["9999"]


@pytest.mark.parametrize("command", ["status", "init", "upgrade"])
def test_a_file_broken_since_is_told_whether_a_server_answers_or_not(
    three: Project, command: str
) -> None:
    heads(three)
    three.revision_files[-1].write_text("revision = (")
    for url in (three.url, "postgresql://nobody@127.0.0.1:1/nowhere"):
        three.url = url
        assert three.revision_files[-1].name in three.run(command).failed(1).error


def test_a_server_that_does_not_answer_is_told_by_a_project_that_is_known(three: Project) -> None:
    heads(three)
    three.url = "postgresql://nobody@127.0.0.1:1/nowhere"
    three.env["DB_OPS_WAIT_TIMEOUT"] = "0.2"
    assert "no server answers" in three.run("status").failed(5).error


def test_a_deleted_file_is_no_longer_known(three: Project) -> None:
    heads(three)
    three.revision_files[-1].unlink()
    assert heads(three) == ["0002"]


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"[]\n{}", b"[1, 2, 3, 4]\n", b'{"a": 1}\n[]']
)
def test_a_damaged_index_is_made_again(three: Project, content: bytes) -> None:
    heads(three)
    (index,) = indexes(three)
    whole = index.read_bytes()
    index.write_bytes(content)
    assert heads(three) == ["0003"]
    assert index.read_bytes() == whole


def test_an_index_whose_body_is_cut_off_is_not_believed(three: Project) -> None:
    heads(three)
    (index,) = indexes(three)
    head = index.read_bytes().partition(b"\n")[0]
    index.write_bytes(head + b'\n{"half')
    three.run("init").succeeded()
    assert three.tables == ["alembic_version", "one", "three", "two"]


def test_a_cache_folder_that_cannot_be_made_is_no_failure(three: Project) -> None:
    (three.root / "cache").write_text("a file is in its place")
    assert heads(three) == ["0003"]


def test_a_project_with_an_embedded_server_keeps_its_index_there(three: Project) -> None:
    (three.root / ".db_ops").mkdir()
    heads(three)
    assert not (three.root / "cache").exists()
    assert {path.suffix for path in (three.root / ".db_ops").iterdir()} == {".json"}


def test_identifiers_in_a_docstring_name_nothing(three: Project) -> None:
    text = '"""A text\n\nrevision = "wrong"\ndown_revision = None\n"""\n'
    path = three.revision_files[-1]
    path.write_text(text + path.read_text())
    assert heads(three) == ["0003"]


@pytest.mark.parametrize(
    "line",
    [
        "revision = ''.join(['00', '04'])",
        "revision, unused = '0004', None",
        "from os import name as revision; revision = '0004'",
        "for revision in ('0003', '0004'): pass",
        "if True:\n    revision = '0004'",
        "revision = '000'\nrevision += '4'",
    ],
)
def test_identifiers_that_are_no_plain_literals_are_left_to_alembic(
    three: Project, line: str
) -> None:
    path = three.table("0004", "four")
    path.write_text(path.read_text().replace("revision = '0004'", line, 1))
    assert heads(three) == ["0004"]
    assert three.alembic("heads").out.split()[0] == "0004"


def test_nothing_to_do_asks_the_server_once(migrated: Project) -> None:
    """The server repeats each statement to the client as a notice."""
    url = f"{migrated.url}?options=-c%20log_statement%3Dall%20-c%20client_min_messages%3Dlog"
    settings = Settings(migrated.root / "alembic.ini", DatabaseUrl.parse(url))
    said: list[list[str]] = []

    def note(event: Event) -> None:
        if isinstance(event, Connected):
            said.append(event.cancel.args[0].notices)  # type: ignore[attr-defined]

    for command in (db_ops.init, db_ops.upgrade, db_ops.status):
        said.clear()
        command(settings, on_event=note)
        (statements,) = said
        assert len(statements) == 1, statements


def test_revisions_in_folders_below_are_applied_where_alembic_looks_there(
    migrated: Project,
) -> None:
    ini = migrated.root / "alembic.ini"
    section = "[alembic]\n"
    ini.write_text(
        ini.read_text().replace(section, f"{section}recursive_version_locations = true\n")
    )
    folder = migrated.root / "alembic" / "versions" / "2026"
    folder.mkdir()
    migrated.table("0004", "four").rename(folder / "0004.py")
    assert "pending: 0004" in migrated.run("diagram").failed(1).error
    migrated.run("upgrade").succeeded()
    assert "four" in migrated.tables
    path = folder / "0004.py"
    path.write_text(path.read_text().replace("def upgrade", "raise ValueError\n\ndef upgrade"))
    migrated.revision("0005").rename(folder / "0005.py")
    outcome = migrated.run("upgrade").failed(1)
    assert outcome.error.startswith("alembic/versions/2026/0004.py:13: does not import")
