"""The files of a new Alembic environment, for models that exist."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from db_ops.errors import ModelsNotFound
from db_ops.migrations.env.error_location import describe_failure

TEMPLATES = Path(__file__).parent / "templates"
_NAMED = re.compile(r"(?P<module>[A-Za-z_][\w.]*):(?P<name>[A-Za-z_]\w*)\Z")
_ENV_PY = '''"""Alembic's environment: the models of this service, the database of `db_ops`."""

from {module} import {name}
from db_ops import run_migrations

run_migrations({metadata})
'''


def environment_files(root: Path, models: str) -> Mapping[str, str]:
    """Return the text of each file for *models*, as `package.module:Base` or `...:metadata`.

    They are imported from *root* or from `src` in it, to see that they are there. Raises
    `ModelsNotFound`.
    """
    named = _NAMED.match(models)
    if named is None:
        raise ModelsNotFound(models, "not written as package.module:Base")
    module, name = named["module"], named["name"]
    with _importable(root):
        metadata = _metadata(models, module, name)
    folder = "%(here)s/src" if _is_below(root / "src", module) else "%(here)s"
    ini = (TEMPLATES / "alembic.ini").read_text()
    ini = ini.replace("path_separator", f"prepend_sys_path = {folder}\npath_separator", 1)
    return {
        "alembic.ini": ini,
        "alembic/env.py": _ENV_PY.format(module=module, name=name, metadata=metadata),
        "alembic/script.py.mako": (TEMPLATES / "script.py.mako").read_text(),
        "alembic/versions/.gitkeep": "",
    }


def _metadata(models: str, module: str, name: str) -> str:
    """Return how env.py writes the metadata of the models."""
    from sqlalchemy import MetaData

    try:
        found = getattr(import_module(module), name)
    except (Exception, SystemExit) as error:
        raise ModelsNotFound(models, describe_failure(error)) from error
    if isinstance(found, MetaData):
        return name
    if isinstance(getattr(found, "metadata", None), MetaData):
        return f"{name}.metadata"
    raise ModelsNotFound(models, f"{name} is neither a declarative base nor a MetaData")


def _is_below(folder: Path, module: str) -> bool:
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is not None and Path(file).is_relative_to(folder)


@contextmanager
def _importable(root: Path) -> Iterator[None]:
    before = list(sys.path)
    sys.path[:0] = [str(root), str(root / "src")]
    try:
        yield
    finally:
        sys.path[:] = before
