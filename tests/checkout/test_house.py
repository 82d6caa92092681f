"""The house rules, held over the sources: floors, third parties, sizes, who prints or exits."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.foreign import KINDS
from tests.support.project import REPOSITORY

PACKAGE = REPOSITORY / "src" / "db_ops"
FLOORS = {
    "__init__": 10,
    "__main__": 10,
    "cli": 9,
    "pytest_plugin": 9,
    "commands": 8,
    "generation": 7,
    "verification": 6,
    "builds": 5,
    "target": 4,
    "migrations": 3,
    "postgres": 3,
    "settings": 2,
    "results": 2,
    "errors": 1,
    "frozen_data": 0,
}
THIRD_PARTIES = {
    "cli": {"invoke", "rich"},
    "pytest_plugin": {"pytest", "psycopg2", "sqlalchemy"},
    "migrations": {"alembic", "flask", "sqlalchemy"},
    "postgres": {"psycopg2"},
    "settings": {"dotenv", "environs", "marshmallow", "psycopg2"},
}
KNOWN_TO_THE_DOORS = {"__init__", "cli", "errors", "frozen_data", "results", "settings"}
LONGEST = 300


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield each imported module and whether that is for type checking only."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in typing_only
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or "", id(node) in typing_only


def misplaced(path: Path) -> Iterator[str]:
    """Yield what *path* imports and may not."""
    here = room(path)
    for name, typing_only in imports(path):
        parts = name.split(".")
        if parts[0] == "db_ops":
            there = parts[1] if len(parts) > 1 else "__init__"
            if here == "cli":
                # The doors use the public names, as any other caller from Python does.
                allowed = there in KNOWN_TO_THE_DOORS
            else:
                allowed = there == here or FLOORS[there] < FLOORS[here]
        else:
            allowed = (
                typing_only
                or parts[0] in sys.stdlib_module_names
                or parts[0] in THIRD_PARTIES.get(here, set())
            )
        if not allowed:
            yield f"{path.relative_to(PACKAGE)} imports {name}"


def test_imports_point_down_only() -> None:
    assert [found for path in modules() for found in misplaced(path)] == []


def test_every_room_has_its_floor() -> None:
    assert {room(path) for path in modules()} == FLOORS.keys()


def test_the_design_page_has_the_floors() -> None:
    text = (REPOSITORY / "docs" / "design.md").read_text()
    rows = re.findall(r"^\| (\d+) \| ([^|]*) \|", text, re.MULTILINE)
    told = {name: int(floor) for floor, names in rows for name in re.findall(r"`(\w+)`", names)}
    assert told == FLOORS


def test_a_module_stays_short() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in modules()}
    assert {str(path): lines for path, lines in lengths.items() if lines > LONGEST} == {}


def test_only_the_command_line_prints_prompts_or_exits() -> None:
    found = []
    for path in modules():
        text = path.read_text()
        called = {
            node.func.id
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        called &= {"print", "input", "exit", "quit"}
        if room(path) != "cli" and (called or "sys.exit" in text):
            found.append(f"{path.relative_to(PACKAGE)} {sorted(called) or 'sys.exit'}")
    assert found == []


def test_db_ops_never_imports_the_service() -> None:
    for path in modules():
        assert not any(name.startswith("agent_management") for name, _ in imports(path)), path


def test_nothing_at_the_root_shadows_alembic() -> None:
    assert not (REPOSITORY / "alembic" / "__init__.py").exists()


def test_nothing_inside_the_package_is_called_tasks() -> None:
    assert not [path for path in modules() if path.name == "tasks.py"]


def test_the_environment_is_read_in_the_settings_and_at_the_doors_only() -> None:
    readers = {
        room(path)
        for path in modules()
        if "os.environ" in path.read_text() and "embedded" not in path.parts
    }
    assert readers <= {"settings", "cli"}


def test_listing_tasks_imports_neither_sqlalchemy_nor_alembic() -> None:
    code = (
        "import sys; sys.argv = ['inv', '--list']\n"
        "from invoke.main import program\n"
        "try: program.run()\n"
        "finally: print(*sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY
    )
    assert "db.init" in done.stdout
    roots = {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert not roots & {"sqlalchemy", "alembic"}


def test_the_files_at_the_doors_stay_small() -> None:
    for name in ("tasks.py", "scripts/manage_db.py", "alembic/env.py"):
        lines = (REPOSITORY / name).read_text().splitlines()
        assert len([line for line in lines if line.strip()]) < 10, name


def test_the_gate_names_tests_that_exist() -> None:
    gate = (REPOSITORY / ".ci" / "run").read_text()
    arrays = gate.partition("\npackaging=")[2].partition("\n\n")[0]
    script = f'packaging={arrays}; printf "%s\\n" "${{libraries[@]}}"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    names = done.stdout.split()
    assert len(names) > 10
    files = {name.partition("::")[0] for name in names}
    assert [name for name in files if not (REPOSITORY / "tests" / name).is_file()] == []
    kinds = {name.partition("[")[2].removesuffix("]") for name in names if "[" in name}
    assert len(kinds) > 3
    assert kinds <= {kind.name for kind in KINDS}


def test_what_is_left_out_of_quick_runs_is_there() -> None:
    lines = (REPOSITORY / "tests" / "left_out_of_quick.txt").read_text().splitlines()
    assert {line.partition(" ")[0] for line in lines} == {"rest", "repeated"}
    tests = {line.partition(" ")[2].partition("[")[0] for line in lines}
    sources = {
        path: (REPOSITORY / path).read_text() for path in {t.partition("::")[0] for t in tests}
    }
    gone = [t for t in tests if f"def {t.partition('::')[2]}(" not in sources[t.partition("::")[0]]]
    assert gone == []


def test_the_gate_runs_every_file_of_the_fault_suite() -> None:
    gate = (REPOSITORY / ".ci" / "run").read_text()
    named = re.findall(r"tests/faults/test_\{(.*)\}|test_faults ((?:\w+ ?)+)$", gate, re.MULTILINE)
    run = {name for found in named for name in re.split(r"[ ,]", " ".join(found)) if name}
    files = (REPOSITORY / "tests" / "faults").glob("test_*.py")
    assert run == {file.stem.removeprefix("test_") for file in files}
