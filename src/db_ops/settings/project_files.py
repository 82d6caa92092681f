"""Find the project's `alembic.ini` or `pyproject.toml` in the folders above."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from db_ops.errors import AlembicIniNotFound, InvalidSettings
from db_ops.frozen_data import FrozenData, field

ALEMBIC_INI = "alembic.ini"
PYPROJECT = "pyproject.toml"
# Flask-Migrate keeps it here, and is run from the folder above.
_IN_A_FOLDER = Path("migrations", ALEMBIC_INI)
_TABLE = "[tool.db_ops]"
# What lies at the root of a project.
_AT_ROOTS = ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", ".git")
_SCRIPT_LOCATION = r"(?m)^script_location[ \t]*[=:][ \t]*(.+)$"
_NEEDS_FLASK = b"current_app"
_FUNCTION = r"[\w.]+:[\w.]+\Z"
_KEYS: Mapping[str, type | tuple[type, ...]] = {
    "url_env": str,
    "url_from": str,
    "alembic_ini": str,
    "name": str,
    "x": list,
    "records": bool,
    "ahead_is_different": bool,
    "squawk": bool,
    "role": str,
    "soft_reset": bool,
    "undo": bool,
    "undo_limit_mb": int,
    "models": list,
    "bootstrap": str,
    "seed": (str, list),
    "schema_file": str,
    "database_per_branch": (bool, str),
}
_SAID = {
    list: "not a list of strings",
    str: "not a string",
    bool: "not true or false",
    int: "not a whole number from 0",
    (str, list): "neither a string nor a list of strings",
    (bool, str): "neither true, false nor the name of a branch",
}


class ProjectFiles(FrozenData):
    """A project's root, the file that configures Alembic there, and its `[tool.db_ops]`."""

    root: Path
    alembic_config: Path
    declared: Mapping[str, Any] = field(default_factory=dict)


def find_project(start: Path, named: str | None = None) -> ProjectFiles:
    """Return the project around *start*; *named* is the path of its `alembic.ini`, if known.

    A folder is a project's root if it holds `alembic.ini`, `migrations/alembic.ini`, a
    `pyproject.toml` that has `[tool.alembic]` or names an `alembic_ini`, or one folder of any name
    with `alembic.ini` beside env.py. Raises `AlembicIniNotFound`, `InvalidSettings` for a
    `[tool.db_ops]` that makes no sense.
    """
    nearest = find_root(start)
    if named is not None:
        for folder in (start, nearest or start):
            if (folder / named).is_file():
                return _around((folder / named).resolve(), folder, named, nearest)
        raise AlembicIniNotFound(str(start / named))
    if nearest is None:
        raise AlembicIniNotFound(str(start))
    tables = _tables(nearest / PYPROJECT)
    declared = _checked(tables.get("db_ops", {}))
    if "alembic_ini" in declared:
        config = (nearest / declared["alembic_ini"]).resolve()
        if not config.is_file():
            raise AlembicIniNotFound(str(config))
        return ProjectFiles(_where_it_counts(config, nearest), config, declared)
    for config in (nearest / ALEMBIC_INI, nearest / _IN_A_FOLDER, *_beside_env_py(nearest)):
        if config.is_file():
            return ProjectFiles(_where_it_counts(config, nearest), config, declared)
    if "alembic" not in tables:
        raise AlembicIniNotFound(str(nearest))
    return ProjectFiles(nearest, nearest / PYPROJECT, declared)


def find_root(start: Path) -> Path | None:
    """Return the root of the project around *start*, None if there is none."""
    for folder in (start, *start.parents):
        if (folder / ALEMBIC_INI).is_file():
            return _root_of(folder / ALEMBIC_INI)
        tables = _tables(folder / PYPROJECT)
        names_one = "alembic" in tables or "alembic_ini" in tables.get("db_ops", {})
        if (folder / _IN_A_FOLDER).is_file() or names_one:
            return folder
        is_root = folder == start or any((folder / name).exists() for name in _AT_ROOTS)
        if is_root and _beside_env_py(folder):
            return folder
    return None


def _beside_env_py(root: Path) -> tuple[Path, ...]:
    """Return the one `alembic.ini` that lies beside env.py in a folder of *root*.

    Of several none is the project's more than the others.
    """
    found = [
        config
        for config in sorted(root.glob(f"*/{ALEMBIC_INI}"))
        if (config.parent / "env.py").is_file() and not config.parent.name.startswith(".")
    ]
    return tuple(found) if len(found) == 1 else ()


def _around(config: Path, folder: Path, named: str, nearest: Path | None) -> ProjectFiles:
    """Return the project of *config*, which is *named* from *folder*."""
    root, is_counted_here = folder, _counts_here(config, folder, named)
    if not is_counted_here and not _is_for_flask(config, folder, named):
        root = _root_of(config, folder, *folder.parents, *((nearest,) if nearest else ()))
    declared = _tables(root / PYPROJECT).get("db_ops")
    if declared is not None and is_counted_here and not _speaks_for(root, declared, config):
        declared = None
    if declared is None:
        for above in dict.fromkeys((*((nearest,) if nearest else ()), *config.parents)):
            spoken = _tables(above / PYPROJECT).get("db_ops")
            if spoken is not None and _speaks_for(above, spoken, config):
                # As without the name, if it names the file itself.
                return ProjectFiles(_where_it_counts(config, above), config, _checked(spoken))
    return ProjectFiles(root, config, _checked(declared or {}))


def _speaks_for(folder: Path, declared: Mapping[str, Any], config: Path) -> bool:
    """Tell whether *declared*, of the `pyproject.toml` in *folder*, is meant for *config*.

    It is if it names it, or if none would be found from there that it could be meant for.
    """
    if "alembic_ini" in declared:
        return (folder / str(declared["alembic_ini"])).resolve() == config
    try:
        return find_project(folder).alembic_config.resolve() == config
    except AlembicIniNotFound:
        return True


def _is_for_flask(config: Path, folder: Path, named: str) -> bool:
    """Tell whether only Flask-Migrate could run *config*.

    Its ini does not say where the scripts are, or `.`, which counts for nobody else: the
    application is looked for, and the folder of the ini named, from where `flask db` is run.
    """
    if config.suffix == ".toml" or Path(named).is_absolute() or config.parent == folder:
        return False
    env_py = config.parent / "env.py"
    if b"script_location" in config.read_bytes():
        is_here = not _script_location(config).strip("./")
        if not is_here or not env_py.is_file() or _NEEDS_FLASK not in env_py.read_bytes():
            return False
    return config.is_relative_to(folder)


def _counts_here(config: Path, folder: Path, named: str) -> bool:
    """Tell whether what is relative in *config* counts from *folder*, as for plain `alembic -c`.

    Where its scripts are is said without that folder, and nothing beside it belongs to a root.
    """
    own = config.parent
    if Path(named).is_absolute() or own == folder or not own.is_relative_to(folder):
        return False
    if config.suffix == ".toml" or any((own / name).exists() for name in (*_AT_ROOTS, ".env")):
        return False
    return b"script_location" in config.read_bytes() and not _script_location(config)


def _where_it_counts(config: Path, root: Path) -> Path:
    """Return *root*, unless a relative `script_location` leads to env.py from elsewhere only."""
    return _root_of(config, root) if _script_location(config) else root


def _root_of(config: Path, *folders: Path) -> Path:
    """Return the folder that commands are run from.

    Alembic counts a relative `script_location` from there, wherever the file lies: the first of
    *folders*, the file's own and those above from which it leads to env.py. Without one, it is the
    folder above one that holds env.py itself, as Flask-Migrate's does.
    """
    own = config.parent
    location = _script_location(config)
    if location.strip("./"):
        for folder in (*folders, own, *own.parents):
            if (folder / location / "env.py").is_file():
                return folder
    return own.parent if (own / "env.py").is_file() else own


def _script_location(config: Path) -> str:
    """Return the `script_location` of an ini, empty if it is not a relative one."""
    try:
        found = re.search(_SCRIPT_LOCATION, config.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ""
    value = found[1].strip() if found else ""
    return "" if value.startswith(("/", "%(")) or ":" in value else value


def _tables(path: Path) -> Mapping[str, Any]:
    """Return those tables of a `pyproject.toml` that are Alembic's and ours."""
    try:
        text = path.read_bytes()
    except OSError:
        return {}
    if b"tool.alembic" not in text and b"tool.db_ops" not in text:
        return {}
    import tomllib

    try:
        tool = tomllib.loads(text.decode()).get("tool", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSettings({str(path): str(error)}) from None
    return {name: tool[name] for name in ("alembic", "db_ops") if name in tool}


def _checked(declared: Mapping[str, Any]) -> Mapping[str, Any]:
    problems = dict(_problems(declared))
    if problems:
        raise InvalidSettings(problems)
    return declared


def _is_below(path: Path) -> bool:
    return not path.is_absolute() and ".." not in path.parts


def _fits(value: object, kind: type | tuple[type, ...]) -> bool:
    if kind is int:
        return type(value) is int and value >= 0
    return isinstance(value, kind) and value not in ("", [])


def _problems(declared: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in declared.items():
        if isinstance(value, dict):
            # A table of a command's own, which reads it.
            continue
        kind = _KEYS.get(key)
        where = f"{_TABLE} {key}"
        if kind is None:
            yield where, f"no such setting; there are {', '.join(sorted(_KEYS))}"
        elif not _fits(value, kind):
            yield where, _SAID[kind]
        elif isinstance(value, list) and not all(isinstance(part, str) for part in value):
            yield where, "not a list of strings"
    bootstrap = declared.get("bootstrap", "a:b")
    if isinstance(bootstrap, str) and bootstrap and not re.match(_FUNCTION, bootstrap):
        yield f"{_TABLE} bootstrap", "not written as package.module:function"
    seeds = declared.get("seed", ())
    for seed in [seeds] if isinstance(seeds, str) else seeds if isinstance(seeds, list) else ():
        if (
            isinstance(seed, str)
            and seed
            and not (re.match(_FUNCTION, seed) or seed.endswith(".sql"))
        ):
            yield f"{_TABLE} seed", f"{seed!r} is neither package.module:function nor a .sql file"
    file = declared.get("schema_file", "schema.sql")
    if isinstance(file, str) and not (file.endswith(".sql") and _is_below(Path(file))):
        yield f"{_TABLE} schema_file", f"{file!r} is not a path below the project that ends in .sql"
    if "url_env" in declared and "url_from" in declared:
        yield f"{_TABLE} url_from", "url_env is there too; one of them has to go"
    if "://" in str(declared.get("url_env", "")) + str(declared.get("url_from", "")):
        # Never repeated: it may hold a password.
        yield f"{_TABLE}", "holds a URL; name the variable or the attribute that holds it"
