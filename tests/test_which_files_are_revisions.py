"""What decides which files are revisions means to every command what it means to Alembic."""

from __future__ import annotations

import os
import re
from pathlib import Path
from py_compile import compile as compile_file

import pytest

from tests.support.project import Project

LONG_AGO = 1_700_000_000


def configure(project: Project, options: str) -> None:
    ini = project.root / "alembic.ini"
    text = re.sub(r"^path_separator.*\n", "", ini.read_text(), flags=re.M)
    ini.write_text(text.replace("[alembic]\n", f"[alembic]\n{options}"))


def into(folder: Path, path: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return path.rename(folder / path.name)


def test_a_history_half_in_folders_below_is_applied_whole(project: Project) -> None:
    configure(project, "recursive_version_locations = true\n")
    versions = project.root / "alembic" / "versions"
    project.table("0001", "one")
    into(versions / "2025" / "12", project.table("0002", "two"))
    into(versions / "2026" / "01", project.table("0003", "three"))
    project.models(
        "".join(
            f"class {name.title()}(Base):\n    __tablename__ = {name!r}\n"
            "    id: Mapped[int] = mapped_column(autoincrement=False)\n"
            f"    __table_args__ = (sa.PrimaryKeyConstraint('id', name='{name}_pkey'),)\n"
            for name in ("one", "two", "three")
        )
    )
    project.run("init").succeeded()
    assert project.alembic("current").out.startswith("0003")
    assert {"one", "two", "three"} <= set(project.tables)
    assert "agree: no file written" in project.run("create-migration", "-m", "x").succeeded().out
    assert "agree at 0003" in project.run("verify").succeeded().out


def test_only_the_word_true_in_the_ini_is_on(migrated: Project) -> None:
    configure(migrated, "recursive_version_locations = True\n")
    into(migrated.root / "alembic" / "versions" / "2026", migrated.table("0004", "four"))
    assert "at 0003, nothing to do" in migrated.run("upgrade").succeeded().out
    assert migrated.alembic("heads").out.startswith("0003")


def test_revisions_that_are_there_only_compiled_are_applied(project: Project) -> None:
    configure(project, "sourceless = true\n")
    for number, name in (("0001", "one"), ("0002", "two")):
        source = project.table(number, name)
        compile_file(str(source), cfile=None if number == "0001" else f"{source}c", doraise=True)
        source.unlink()
    outcome = project.run("init").succeeded()
    assert "2 revisions applied" in outcome.out
    assert {"one", "two"} <= set(project.tables)
    assert "at 0002, nothing to do" in project.run("init").succeeded().out
    assert "0001" in project.run("downgrade", "-s", "1").succeeded().out


def test_a_folder_of_links_as_a_config_map_mounts_it_is_read_once(project: Project) -> None:
    configure(project, "recursive_version_locations = true\n")
    versions = project.root / "alembic" / "versions"
    path = into(versions / "..2026_01_01", project.table("0001", "one"))
    (versions / "..data").symlink_to(path.parent.name)
    (versions / path.name).symlink_to(f"..data/{path.name}")
    assert "1 revision applied" in project.run("init").succeeded().out


def test_the_lock_of_an_editor_and_a_folder_with_a_files_name_are_no_revisions(
    migrated: Project,
) -> None:
    versions = migrated.root / "alembic" / "versions"
    (versions / ".#0003.py").symlink_to("somebody@somewhere.12:34")
    (versions / "old.py").mkdir()
    migrated.table("0004", "four")
    assert "now at 0004" in migrated.run("upgrade").succeeded().out


def test_a_name_with_a_line_break_is_no_revision(migrated: Project) -> None:
    path = migrated.table("0004", "four")
    path.rename(path.with_name("0004\n.py"))
    assert "at 0003, nothing to do" in migrated.run("upgrade").succeeded().out
    assert migrated.alembic("heads").out.startswith("0003")


def test_a_link_to_a_file_that_is_gone_is_named(migrated: Project) -> None:
    path = migrated.root / "alembic" / "versions" / "0004.py"
    path.symlink_to("gone/0004.py")
    outcome = migrated.run("upgrade").failed(1)
    assert outcome.error.startswith("alembic/versions/0004.py: ")
    assert "No such file" in outcome.error


def test_locations_are_taken_apart_as_alembic_does(project: Project) -> None:
    project.table("0001", "one")
    into(project.root / "alembic" / "a;b", project.table("0002", "two"))
    configure(
        project,
        "path_separator = os\nversion_locations = %(here)s/alembic/versions:%(here)s/alembic/a;b\n",
    )
    assert "2 revisions applied" in project.run("init").succeeded().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("path_separator = comma\nversion_locations = a,b\n", "path_separator is 'comma'"),
        ("version_path_separator = comma\nversion_locations = a,b\n", "may be space, newline, os"),
    ],
)
def test_a_separator_that_alembic_does_not_know_is_refused(
    project: Project, options: str, said: str
) -> None:
    configure(project, options)
    outcome = project.run("init").failed(2)
    assert said in outcome.error
    assert "Traceback" not in outcome.err


def test_an_index_that_took_another_file_for_the_same_stops_before_anything_runs(
    migrated: Project,
) -> None:
    """As where a release sets the times of all its files to one, and an id has changed."""
    path = migrated.table("0004", "four")
    for file in migrated.revision_files:
        os.utime(file, (LONG_AGO, LONG_AGO))
    assert "0004" in migrated.run("status").out
    path.write_text(path.read_text().replace("0004", "0005"))
    os.utime(path, (LONG_AGO, LONG_AGO))
    outcome = migrated.run("upgrade").failed(2)
    assert "Alembic reads the revision files otherwise: 0004 is unknown to it" in outcome.error
    assert "it has 0005" in outcome.error
    assert "four" not in migrated.tables
    path.touch()
    assert "now at 0005" in migrated.run("upgrade").succeeded().out


def test_a_file_that_would_lie_where_nobody_looks_is_not_written(project: Project) -> None:
    ini = project.root / "alembic.ini"
    ini.write_text(re.sub(r"^file_template.*\n", "", ini.read_text(), flags=re.M))
    configure(project, "file_template = %%(year)d/%%(rev)s\n")
    project.models(
        "class Book(Base):\n    __tablename__ = 'book'\n"
        "    id: Mapped[int] = mapped_column(primary_key=True)\n"
    )
    outcome = project.run("create-migration", "-m", "book").failed(1)
    assert "into a folder in which no revision is looked for" in outcome.error
    assert "recursive_version_locations = true" in outcome.hint
    assert list((project.root / "alembic" / "versions").rglob("*.py")) == []
    configure(project, "recursive_version_locations = true\n")
    project.run("create-migration", "-m", "book").succeeded()
    (written,) = (project.root / "alembic" / "versions").rglob("*.py")
    assert written.parent.parent.name == "versions"
    assert "1 revision applied" in project.run("init").succeeded().out
