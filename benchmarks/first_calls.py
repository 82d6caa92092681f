"""Who takes part where the first call makes what the next one finds."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from functools import partial

from benchmarks.contenders import (
    ALEMBIC,
    ALEMBIC_CHECK,
    AUTOGENERATE,
    CREATE,
    INIT_PROGRAM,
    RECORD,
    VERIFY_PROGRAM,
    Command,
)
from benchmarks.entrants import NO_SPARE
from benchmarks.measure import Entrant
from benchmarks.workshop import CommandFailed, Workshop

NOTHING_KEPT = f"{CREATE.name}, nothing kept"
FIRST_INIT = f"{INIT_PROGRAM.name}, embedded server, nothing kept"


def verify_again(workshop: Workshop, revisions: int, tables: int) -> list[Entrant]:
    """Return the comparisons of a database that agreed the last time; the first is the warm-up."""
    project = workshop.project(revisions, tables)
    database = workshop.at_head(project, f"again_{project.name}")
    workshop.run(RECORD, project, database, **NO_SPARE)
    return [
        Entrant(
            command.name,
            partial(workshop.run, command, project, database, **NO_SPARE),
            ours=command.ours,
        )
        for command in (ALEMBIC_CHECK, VERIFY_PROGRAM)
    ]


def create_migration(workshop: Workshop, revisions: int, tables: int) -> list[Entrant]:
    """Return the ways to write a revision for a new column, with nothing kept and once more."""
    project = workshop.project(revisions, tables)
    database = workshop.at_head(project, f"create_{project.name}")
    models = project.ours / "models.py"
    before, files = models.read_text(), set(project.versions.glob("*.py"))

    def change() -> None:
        column = 'metadata,\n    sa.Column("note", sa.Text),'
        models.write_text(before.replace("metadata,", column, 1))

    def forget() -> None:
        for folder in (workshop.root / "home" / ".cache", project.ours / ".db_ops"):
            shutil.rmtree(folder, ignore_errors=True)
        for (name,) in workshop.server.query(
            r"SELECT datname FROM pg_database WHERE datname LIKE 'db\_ops\_template\_%'"
        ):
            workshop.server.drop(str(name))
        change()

    def take_back() -> None:
        models.write_text(before)
        written = set(project.versions.glob("*.py")) - files
        for path in written:
            path.unlink()
        if len(written) != 1:
            raise LookupError(f"{len(written)} revision files were written")

    def entrant(name: str, command: Command, prepare: Callable[[], None]) -> Entrant:
        run = partial(workshop.run, command, project, database, **NO_SPARE)
        return Entrant(name, run, prepare, take_back, ours=command.ours)

    return [
        entrant(AUTOGENERATE.name, AUTOGENERATE, change),
        entrant(NOTHING_KEPT, CREATE, forget),
        entrant(CREATE.name, CREATE, change),
    ]


def first_init(workshop: Workshop, revisions: int, tables: int) -> list[Entrant]:
    """Return `init` as CI runs it, which makes its server too, and Alembic on one that is there."""
    project = workshop.project(revisions, tables)
    folder, database = workshop.root / "ci", f"ci_{project.name}"
    ignored = shutil.ignore_patterns("__pycache__", ".db_ops")

    def run(*words: str) -> None:
        done = subprocess.run(
            [workshop.tools.path("db-ops"), *words],
            cwd=folder / "project",
            env={"PATH": os.environ["PATH"], "HOME": str(folder / "home"), "CI": "true"},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise CommandFailed(words[0], done.returncode, done.stderr)

    def prepare() -> None:
        shutil.copytree(project.ours, folder / "project", ignore=ignored)
        (folder / "home").mkdir()

    def settle() -> None:
        run("stop")
        shutil.rmtree(folder)

    return [
        Entrant(
            ALEMBIC.name,
            partial(workshop.run, ALEMBIC, project, database),
            partial(workshop.server.create, database),
        ),
        Entrant(FIRST_INIT, partial(run, "init"), prepare, settle, ours=True),
    ]
