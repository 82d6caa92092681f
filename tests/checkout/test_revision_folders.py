"""Which files are revisions: ours equals Alembic's answer, for every option that decides it."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from py_compile import compile as compile_file

from alembic.config import Config
from alembic.script import ScriptDirectory
from hypothesis import given, settings
from hypothesis import strategies as st

from db_ops.errors import DbOpsError
from db_ops.migrations.project import read_project
from db_ops.migrations.revisions.reader import check_graph, read_graph
from db_ops.migrations.scripts import load_scripts
from tests.support.project import ALEMBIC

FOLDERS = ("", "2025", "2025/06", ".hidden", "__pycache__", "a b", "x__pycache__")
FORMS = (
    "source",
    "compiled beside",
    "compiled in cache",
    "compiled as well",
    "optimised as well",
    "link",
    "link of another name",
    "link from another name",
    "link to a folder",
    "folder of that name",
    "package",
    "lock of an editor",
    "backup",
)
INI = ("os", "space", "newline", ":", ";", "legacy", "version_path_separator", "toml")


@dataclass(frozen=True)
class Layout:
    """Revisions, each in a folder below a location and in a form; and how they are configured."""

    revisions: tuple[tuple[int, str, str], ...]
    locations: tuple[str, ...]
    how: str
    recursive: str
    sourceless: str


FLAG = st.sampled_from(("true", "true", "false", "True", ""))
LAYOUTS = st.builds(
    Layout,
    st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from(FOLDERS), st.sampled_from(FORMS)), max_size=7
    ).map(tuple),
    st.sampled_from(
        (("one",), ("one", "two"), ("two", "one", "one"), ("one", "one/2025"), ("gone", "one"))
    ),
    st.sampled_from(INI),
    FLAG,
    FLAG,
)


def place(folder: Path, number: int, form: str, store: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / f"r{number}_x.py"
    text = f"revision = 'r{number}'\ndown_revision = None\n"
    match form:
        case "package":
            (folder / "__init__.py").write_text(text)
            return
        case "lock of an editor":
            (folder / f".#r{number}.py").symlink_to("somebody@somewhere.12")
            return
        case "backup":
            (folder / f"r{number}.py~").write_text(text)
            return
        case "folder of that name":
            source.mkdir()
            return
        case "link":
            (store / source.name).write_text(text)
            source.symlink_to(store / source.name)
            return
        case "link of another name":
            (store / f"r{number}").write_text(text)
            source.symlink_to(store / f"r{number}")
            return
        case "link from another name":
            (store / source.name).write_text(text)
            (folder / f"r{number}").symlink_to(store / source.name)
            return
        case "link to a folder":
            (store / f"d{number}").mkdir()
            (store / f"d{number}" / source.name).write_text(text)
            (folder / f"d{number}").symlink_to(store / f"d{number}")
            return
    source.write_text(text)
    if form == "compiled beside":
        compile_file(str(source), cfile=f"{source}c", doraise=True)
        source.unlink()
    elif form == "compiled in cache":
        compile_file(str(source), doraise=True)
        source.unlink()
    elif form == "compiled as well":
        compile_file(str(source), doraise=True)
        compile_file(str(source), cfile=f"{source}c", doraise=True)
    elif form == "optimised as well":
        compile_file(str(source), cfile=f"{source}c", doraise=True)
        compile_file(str(source), cfile=f"{source}o", doraise=True)
        source.unlink()


def configured(root: Path, layout: Layout) -> tuple[Path, Config]:
    (root / "alembic").mkdir()
    (root / "alembic" / "env.py").touch()
    flags = {
        name: value
        for name, value in (
            ("recursive_version_locations", layout.recursive),
            ("sourceless", layout.sourceless),
        )
        if value
    }
    paths = [f"alembic/{name}" for name in layout.locations]
    toml = root / "pyproject.toml"
    if layout.how == "toml" and ALEMBIC >= (1, 16):
        lines = [f"{name} = {value.lower()}" for name, value in flags.items()]
        listed = ["script_location = 'alembic'", f"version_locations = {paths}", *lines]
        toml.write_text("\n".join(["[tool.alembic]", *listed, ""]))
        return toml, Config(toml_file=toml)
    options = {"script_location": "alembic", **flags}
    separator = {"os": os.pathsep, "space": "  ", "newline": "\n  ", "legacy": ", "}
    if layout.how == "version_path_separator":
        options["version_path_separator"] = "space"
    elif layout.how in ("legacy", "toml"):
        separator[layout.how] = separator["legacy"]
    elif ALEMBIC >= (1, 16):
        options["path_separator"] = layout.how
    else:
        options["version_path_separator"] = layout.how.replace("newline", "space")
    between = separator.get(layout.how, layout.how if len(layout.how) == 1 else " ")
    options["version_locations"] = between.join(paths)
    ini = root / "alembic.ini"
    ini.write_text("\n".join(["[alembic]", *(f"{k} = {v}" for k, v in options.items()), ""]))
    return ini, Config(str(ini))


@contextmanager
def written(layout: Layout) -> Iterator[tuple[Path, Config]]:
    path = list(sys.path)
    with tempfile.TemporaryDirectory() as name, chdir(name), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = Path(name).resolve()
        (root / "store").mkdir()
        file, config = configured(root, layout)
        for number, (location, folder, form) in enumerate(layout.revisions):
            top = root / "alembic" / ("one", "two")[location]
            place(top / folder, number, form, root / "store")
        try:
            yield file, config
        finally:
            sys.path[:] = path


@settings(max_examples=100, deadline=None, derandomize=True)
@given(LAYOUTS)
def test_the_same_files_are_revisions_as_for_alembic(layout: Layout) -> None:
    with written(layout) as (file, config):
        theirs: set[str] | None
        try:
            scripts = ScriptDirectory.from_config(config)
            theirs = {script.revision for script in scripts.walk_revisions()}
        except Exception:
            theirs = None
        try:
            project = read_project(file)
            graph = read_graph(project, file.parent / "cache")
            ours = set(graph.nodes)
            check_graph(graph, load_scripts(project))
            assert set(read_graph(project, file.parent / "cache").nodes) == ours
        except DbOpsError:
            ours = None
        assert ours == theirs
