"""The post-write hooks of a project: those that are installed here, run on a new file."""

from __future__ import annotations

import ast
import re
import shutil
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db_ops.migrations.autogenerate.revision_text import format_with_ruff
from db_ops.migrations.env.error_location import describe_failure
from db_ops.migrations.project import Project

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory


def missing_hooks(project: Project) -> tuple[str, ...]:
    """Return the names of the hooks whose programs are not installed here."""
    return tuple(
        hook["_hook_name"] for hook in _hooks(configured_hooks(project)) if not _is_installed(hook)
    )


def finish_file(path: Path, configured: Any) -> str | None:
    """Run the *configured* hooks on the file at *path*; without any, format it as ruff does.

    Return what `run_hooks` returns.
    """
    if not configured:
        format_with_ruff(path)
        return None
    return run_hooks(path, configured)


def configured_hooks(project: Project) -> Any:
    """Return the hooks of *project*, as its Alembic holds them."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(project.alembic_config())
    return getattr(scripts, hooks_of(scripts))


def run_hooks(path: Path, configured: Any) -> str | None:
    """Run the hooks that are installed on the file at *path*.

    Return in one line what failed of them, None if nothing did: the file stays, and is put back if
    what they leave is no Python.
    """
    from alembic.script import write_hooks

    written, failed = path.read_bytes(), []
    for hook in _hooks(configured):
        name = hook["_hook_name"]
        if not _is_installed(hook):
            failed.append(f"{name} is not installed here")
            continue
        try:
            alone: Any = [hook] if isinstance(configured, list) else {**configured, "hooks": name}
            write_hooks._run_hooks(str(path), alone)
        except Exception as error:
            failed.append(describe_failure(error).removeprefix("CommandError: "))
    try:
        ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError) as error:
        path.write_bytes(written)
        if not failed:
            failed.append(f"what they left is no Python ({describe_failure(error)})")
    if not failed:
        return None
    return f"post_write_hooks: {'; '.join(failed)}; the file was written without that"


def hooks_of(scripts: ScriptDirectory) -> str:
    """Return the name of what holds the hooks: Alembic 1.16 has renamed it."""
    return "hooks" if hasattr(scripts, "hooks") else "hook_config"


def _hooks(configured: Any) -> list[dict[str, str]]:
    """Return the options of each hook, as Alembic 1.16 lists them and older ones look them up."""
    if isinstance(configured, list):
        return [dict(hook) for hook in configured]
    found = []
    for name in filter(None, re.split(r",\s*|\s+", configured.get("hooks", ""))):
        prefix = f"{name}."
        options = {
            key.removeprefix(prefix): value
            for key, value in configured.items()
            if key.startswith(prefix)
        }
        found.append({**options, "_hook_name": name})
    return found


def _is_installed(hook: dict[str, str]) -> bool:
    """Tell whether the program of *hook* is there; of one that is configured wrongly, yes."""
    kind = hook.get("type")
    if kind == "console_scripts":
        named = hook.get("entrypoint", "")
        return not named or bool(entry_points(group="console_scripts", name=named))
    if kind == "exec":
        named = hook.get("executable", "")
        return not named or shutil.which(named, path=None) is not None
    if kind == "module":
        named = hook.get("module", "")
        return not named or _is_found(named)
    return True


def _is_found(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False
