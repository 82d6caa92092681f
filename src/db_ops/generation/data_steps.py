"""Where a revision writes rows, or may: told from its source, without running it."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

from db_ops.postgres.sql_script import ScriptError, split_script
from db_ops.results import DataStep

_WRITES = re.compile(
    r"\s*(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|MERGE\s+INTO|TRUNCATE|COPY)\b",
    re.IGNORECASE,
)
# What may write somewhere in the middle.
_MAY_WRITE = re.compile(r"\s*(?:WITH|DO|SELECT|CALL)\b", re.IGNORECASE)
_IN_THE_MIDDLE = re.compile(
    r"\b(?:INSERT\s+INTO|UPDATE\s+\S+\s+SET|DELETE\s+FROM|MERGE\s+INTO|TRUNCATE|setval\s*\()",
    re.IGNORECASE,
)
_ROUTINES = re.compile(r"\s*(?:SELECT\s+(?!.*\bFROM\b)|CALL\b)", re.IGNORECASE | re.DOTALL)
_LONGEST = 120
_SENDS = frozenset(("execute", "exec_driver_sql", "executemany", "scalar", "scalars"))
_BUILDS = frozenset(("insert", "update", "delete"))
_OF_SESSION = frozenset(("add", "add_all", "merge", "delete", "commit", "flush"))
_ALWAYS = frozenset(("bulk_insert", "bulk_insert_mappings", "bulk_save_objects", "copy_expert"))


def data_steps(path: Path, shown: str) -> tuple[DataStep, ...]:
    """Return the calls in the file at *path* that write rows, `downgrade` left out.

    SQL in a text, also one that is named or put together; `op.bulk_insert`; constructs and sessions
    of SQLAlchemy. A file that is no Python source has none.
    """
    try:
        source = path.read_bytes()
        tree = ast.parse(source)
    except (OSError, SyntaxError, ValueError):
        return ()
    text = source.decode(errors="replace")
    texts = dict(_named_texts(tree))
    upward = [
        node
        for node in tree.body
        if not (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == "downgrade"
        )
    ]
    found = {
        call.lineno: call
        for top in upward
        for call in ast.walk(top)
        if isinstance(call, ast.Call) and _writes(call, texts)
    }
    return tuple(
        DataStep(shown, line, textwrap.shorten(ast.get_source_segment(text, call) or "", _LONGEST))
        for line, call in sorted(found.items())
    )


def _named_texts(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, _text(value, {})
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, _text(value, {})


def _writes(call: ast.Call, texts: Mapping[str, str]) -> bool:
    match call.func:
        case ast.Attribute(attr=name, value=on):
            pass
        case _:
            return False
    if name in _ALWAYS:
        return True
    if name in _OF_SESSION:
        return "session" in ast.unparse(on).lower()
    if name not in _SENDS or not call.args:
        return False
    if any(_is_built(node) for node in ast.walk(call.args[0])):
        return True
    return _sql_writes(_text(call.args[0], texts))


def _is_built(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)):
            return name in _BUILDS
    return False


def _text(node: ast.expr, texts: Mapping[str, str]) -> str:
    """Return the text in an expression; what is put into it in between becomes a name."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name):
            return texts.get(name, "x")
        case ast.JoinedStr(values=parts):
            return "".join(_text(part, texts) for part in parts)
        case ast.FormattedValue():
            return "x"
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left, texts) + _text(right, texts)
        case ast.BinOp(left=left):
            return _text(left, texts)
        case ast.Call(func=ast.Attribute(value=on, attr="format" | "bindparams" | "strip")):
            return _text(on, texts)
        case ast.Call(func=ast.Name(id="dedent" | "text") | ast.Attribute(), args=[first, *_]):
            return _text(first, texts)
    return ""


def _sql_writes(sql: str) -> bool:
    try:
        statements = [one.text for one in split_script(sql)]
    except ScriptError:
        statements = [sql]
    return any(
        _WRITES.match(one)
        or (_MAY_WRITE.match(one) and (_IN_THE_MIDDLE.search(one) or _ROUTINES.match(one)))
        for one in statements
    )
