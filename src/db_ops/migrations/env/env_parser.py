"""Parse env.py for the calls of `db_ops.run_migrations`."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache

from db_ops.migrations.env.env_source import EnvSource

_MODULE = "db_ops"
_FUNCTION = "run_migrations"
# What decides where the recorded revision is looked for.
_TABLE_OPTIONS = ("version_table", "version_table_schema")


@cache
def parse_env_source(source: bytes) -> EnvSource:
    """Parse *source*; one that is not Python is ours if it has the name of our module."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return EnvSource(_MODULE.encode() in source)
    functions, modules = _bound(tree)
    named = functions | {f"{module}.{_FUNCTION}" for module in modules}
    used = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.Attribute) and _dotted(node) in named
    ]
    if not used:
        return EnvSource(False)
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _dotted(node.func) in named
    ]
    found = [_options(call) for call in calls]
    # Handed on, or called in several ways: only its run tells.
    is_plain = len(calls) == len(used) and all(one == found[0] for one in found)
    return EnvSource(True, found[0] if found and is_plain else None)


def _bound(tree: ast.Module) -> tuple[set[str], set[str]]:
    """Return the names that stand for our function, and those that stand for its module."""
    functions, modules = set(), set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    if alias.name == _MODULE:
                        modules.add(alias.asname or _MODULE)
                    elif alias.name.startswith(f"{_MODULE}.") and alias.asname is None:
                        modules.add(_MODULE)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                for alias in names:
                    bound = alias.asname or alias.name
                    if module == _MODULE and alias.name in (_FUNCTION, "*"):
                        functions.add(_FUNCTION if alias.name == "*" else bound)
            case ast.Assign(
                targets=[ast.Name(id=bound)], value=ast.Call(args=[ast.Constant(value=str(name))])
            ):
                # import_module("..."), under whatever name.
                modules |= {bound} if name == _MODULE else set()
    return functions, modules


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join((node.id, *reversed(parts))) if isinstance(node, ast.Name) else ""


def _options(call: ast.Call) -> Mapping[str, str | None] | None:
    options: dict[str, str | None] = {}
    for keyword in call.keywords:
        if keyword.arg is None:
            return None
        if keyword.arg in _TABLE_OPTIONS:
            value = keyword.value.value if isinstance(keyword.value, ast.Constant) else 0
            if not isinstance(value, str | None):
                return None
            options[keyword.arg] = value
    return options
