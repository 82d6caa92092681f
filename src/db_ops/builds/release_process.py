"""The models of another release, in a process of their own that runs what they say to a database.

What a process has imported once it cannot import from other files. Both sides exchange JSON, a
line each; the settings may hold a password.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db_ops.builds.worker import decode_settings, encode_settings
from db_ops.errors import CommandRunning, DbOpsError, ReleaseBroken
from db_ops.frozen_data import replace
from db_ops.migrations.autogenerate.model_source import ModelSource
from db_ops.migrations.env.engine import connection_over
from db_ops.migrations.env.error_location import describe_failure, innermost_location
from db_ops.migrations.project import Project, project_of
from db_ops.migrations.release_checkout import ReleaseCheckout
from db_ops.migrations.release_statements import (
    Columns,
    Name,
    ReleaseStatements,
    import_release_models,
)
from db_ops.migrations.scripts import import_alembic
from db_ops.postgres.connection.server import Server
from db_ops.postgres.relation_facts import Relations
from db_ops.settings import Settings
from db_ops.target.open_project import with_answers
from db_ops.target.target import Target

_PROGRAM = (
    "import sys; sys.path[:] = {path}; from db_ops.builds.release_process import serve; serve()"
)
_COMMAND = "check-models"
# An import may wait for something, and nobody would see for what.
_PATIENCE = 300.0
_INSTALLED = ("site-packages", "dist-packages")


@dataclass
class ReleaseProcess:
    """The other process, as seen from this one."""

    checkout: ReleaseCheckout
    process: subprocess.Popen[bytes]

    def load(self, scratch: Target) -> None:
        """Import the models; they are told the *scratch* database. Raises `ReleaseBroken`."""
        self._ask(
            settings=encode_settings(scratch).decode(),
            top=str(self.checkout.top),
            folder=str(self.checkout.folder),
        )

    def before(self, relations: Relations) -> dict[str, Any]:
        """Run the statements on the schema of the release."""
        return self._ask(columns=_columns(relations))

    def after(
        self,
        relations: Relations,
        required: dict[Name, list[str]],
        lost: dict[Name, dict[str, list[str]]],
        added: dict[Name, list[str]],
        places: list[Name],
    ) -> dict[str, Any]:
        """Run them on the schema after the pending revisions; see `ReleaseStatements.after`.

        *places* are the tables whose models' lines are wanted.
        """
        return self._ask(
            columns=_columns(relations),
            required=[[*name, columns] for name, columns in required.items()],
            lost=[[*name, labels] for name, labels in lost.items()],
            added=[[*name, columns] for name, columns in added.items()],
            places=[list(name) for name in places],
        )

    def _ask(self, **question: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(question).encode() + b"\n")
            self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], _PATIENCE)
        if not ready:
            raise CommandRunning(_COMMAND, _PATIENCE)
        line = self.process.stdout.readline()
        if not line.endswith(b"\n"):
            reason = f"the process that imports them ended with {self.process.wait()}"
            raise ReleaseBroken("env.py", reason, reference=self.checkout.name)
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ReleaseBroken(**answer["error"], reference=self.checkout.name)
        return answer


@contextmanager
def release_process(checkout: ReleaseCheckout, root: Path) -> Iterator[ReleaseProcess]:
    """Start the process for a `with` block. It ends, and takes the files away, if we are killed."""
    path = [str(Path(one).absolute()) for one in sys.path]
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM.format(path=path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=checkout.path_of(root),
        start_new_session=True,
    )
    try:
        yield ReleaseProcess(checkout, process)
    finally:
        process.kill()
        with process:
            # It was about to answer to nobody.
            pass


def _columns(relations: Relations) -> list[tuple[str | None, str, list[str]]]:
    found: list[tuple[str | None, str, list[str]]] = []
    for one in relations:
        found.append((one.schema, one.name, list(one.columns)))
        if one.visible:
            found.append((None, one.name, list(one.columns)))
    return found


def serve() -> None:
    """Answer on standard output what is asked on standard input, a line each, until that ends."""
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the project prints is no part of the answer
    import_alembic()
    folder = None
    try:
        first = json.loads(sys.stdin.readline() or "{}")
        if first:
            folder = Path(first["folder"])
            _serve(first, answer)
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _serve(first: dict[str, Any], answer: Any) -> None:
    def tell(**said: Any) -> None:
        answer.write(json.dumps(said) + "\n")
        answer.flush()

    top, folder = Path(first["top"]), Path(first["folder"])
    settings = _of_release(decode_settings(first["settings"]), top, folder)
    try:
        project = with_answers(project_of(settings), settings)
        statements = ReleaseStatements(_import(project, top, folder))
        tell(tables=len(statements.tables))
    except BaseException as error:
        tell(error=_described(error, folder))
        return
    url = settings.url
    assert url is not None
    server = Server(url, settings, _COMMAND)
    for number, line in enumerate(sys.stdin):
        question = json.loads(line)
        columns = Columns.decode(question["columns"])
        with closing(server.connect()) as driver:
            with driver.cursor() as cursor:
                cursor.execute("SET statement_timeout = '60s'; SET lock_timeout = '10s'")
            with connection_over(driver) as connection:
                if number == 0:
                    tell(**statements.before(connection, columns))
                    continue
                about = (
                    {(schema, name): found for schema, name, found in question[key]}
                    for key in ("required", "lost", "added")
                )
                found = statements.after(connection, columns, *about)
        wanted = {(schema, name) for schema, name in question["places"]}
        source = ModelSource.of(statements.tables)
        places = [
            [*name, source.places(project, table)]
            for table in statements.tables
            if (name := (table.schema, table.name)) in wanted
        ]
        tell(after=found, places=places, statements=statements.count)


def _of_release(settings: Settings, top: Path, folder: Path) -> Settings:
    """Return *settings* for the files of the release, with the models that it names itself."""
    from db_ops.settings.project_files import find_project

    def moved(path: Path) -> Path:
        return folder / path.relative_to(top) if path.is_relative_to(top) else path

    root, config = moved(settings.root), moved(settings.alembic_ini)
    models: tuple[str, ...] = ()
    with suppress(DbOpsError):
        models = tuple(find_project(root, str(config)).declared.get("models", ()))
    return replace(settings, alembic_ini=config, folder=root, models=models, user_cache=None)


def _import(project: Project, top: Path, folder: Path) -> Any:
    """Import the models as env.py of the release does, from its files alone."""
    sys.dont_write_bytecode = True
    _move_imports(top, folder)
    metadata = import_release_models(project)
    ours = Path(__file__).parents[1]
    for module in list(sys.modules.values()):
        file = Path(getattr(module, "__file__", None) or "/")
        if not file.is_relative_to(top) or file.is_relative_to(ours) or _is_installed(file):
            continue
        if not file.is_relative_to(folder) and (folder / file.relative_to(top)).exists():
            raise ImportError(f"{file} was imported, and not the file of that release")
    return metadata


def _move_imports(top: Path, folder: Path) -> None:
    """Let what would be imported from the user's files come from those of the release."""
    found = []
    for entry in sys.path:
        path = Path(entry)
        if not path.is_relative_to(top) or _is_installed(path):
            found.append(entry)
        elif (folder / path.relative_to(top)).is_dir():
            found.append(str(folder / path.relative_to(top)))
    sys.path[:] = found
    for finder in sys.meta_path:
        # What `pip install --editable` puts there, by setuptools.
        module = sys.modules.get(getattr(finder, "__module__", ""))
        mapping: dict[str, str] = getattr(module, "MAPPING", {})
        for name, where in mapping.items():
            if isinstance(where, str) and Path(where).is_relative_to(top):
                mapping[name] = str(folder / Path(where).relative_to(top))


def _is_installed(path: Path) -> bool:
    return not set(path.parts).isdisjoint(_INSTALLED)


def _described(error: BaseException, folder: Path) -> dict[str, Any]:
    """Return the fields of a `ReleaseBroken` for what importing the models has raised."""
    place = innermost_location(error, (folder,))
    path, line = getattr(error, "path", None), getattr(error, "line", None)
    if path is None and place is not None:
        path, line = str(place.path).removeprefix(f"{folder}/"), place.line
    reason = getattr(error, "reason", None)
    if reason is None:
        reason = error.message if isinstance(error, DbOpsError) else describe_failure(error)
    code = getattr(error, "code", "") or (place.code if place else "")
    return {
        "path": str(path or "env.py").replace(f"{folder}/", ""),
        "reason": str(reason).replace(f"{folder}/", ""),
        "line": line,
        "code": code,
    }
