"""Create the files of a new project: `alembic.ini`, `alembic/` and `tasks.py`."""

from __future__ import annotations

from pathlib import Path

from db_ops.errors import UsageError
from db_ops.migrations.scaffold import environment_files
from db_ops.results import OnEvent, Scaffolded, ignore

_TASKS = '''"""The project's tasks: `inv --list` shows them."""

from invoke.collection import Collection
from db_ops.cli import collection as db

namespace = Collection(db)
'''
_ADOPTION = "in tasks.py: from db_ops.cli import collection as db, and namespace.add_collection(db)"


def new(folder: Path, *, models: str, on_event: OnEvent = ignore) -> Scaffolded:
    """Write `alembic.ini`, `alembic/` and `tasks.py` into *folder*, for *models* that exist.

    *models* are written `package.module:Base`. Nothing is overwritten: raises `UsageError` if one
    of the files is there, before any is written. A `tasks.py` that is there stays, and the result
    says what to add to it. Raises `ModelsNotFound`. Contacts no server.
    """
    root = folder.resolve()
    if not models:
        raise UsageError(
            "new: the models are not named", "name them: db-ops new --models package.module:Base"
        )
    there = [name for name in ("alembic.ini", "alembic") if (root / name).exists()]
    if there:
        raise UsageError(
            f"{root}: holds {' and '.join(there)} already, and nothing is overwritten",
            "see what works with it as it is: db-ops doctor",
        )
    files = dict(environment_files(root, models))
    remaining = []
    if (root / "tasks.py").exists():
        remaining.append(_ADOPTION)
    else:
        files["tasks.py"] = _TASKS
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    remaining.append("db-ops init, then db-ops create-migration -m 'create the first tables'")
    return Scaffolded(str(root), tuple(files), tuple(remaining))
