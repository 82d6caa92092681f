"""Format the Python expressions of a revision file where `ruff` is not installed."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator

_INDENT = "    "


def format_source(source: str, *, width: int, indent: int = 1) -> str:
    """Return the statements of *source*, *indent* levels deep, in lines of at most *width*.

    Calls and lists that do not fit get an argument a line and a trailing comma; long strings are
    broken at spaces. Comments before the first statement stay. Raises `SyntaxError`.
    """
    prefix = _INDENT * indent
    lines = [
        part
        for line in source.splitlines()
        if line.lstrip().startswith("#")
        for part in textwrap.wrap(
            line.strip(),
            width,
            initial_indent=prefix,
            subsequent_indent=f"{prefix}# ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    ]
    for statement in ast.parse(source).body:
        lines += _Formatter(width).statement(statement, prefix)
    return "\n".join(lines)


class _Formatter:
    def __init__(self, width: int) -> None:
        self.width = width

    def statement(self, node: ast.stmt, prefix: str) -> Iterator[str]:
        match node:
            case ast.Expr(value=value):
                yield from self._fitted(value, prefix, "", "")
            case ast.With(items=items, body=body):
                yield f"{prefix}with {', '.join(_item_line(item) for item in items)}:"
                for inner in body:
                    yield from self.statement(inner, prefix + _INDENT)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield from self._fitted(value, prefix, f"{name} = ", "")
            case _:
                yield from (prefix + line for line in ast.unparse(node).splitlines())

    def _fitted(self, node: ast.expr, prefix: str, before: str, after: str) -> Iterator[str]:
        """Yield the lines of *node* between *before* and *after*."""
        line = f"{prefix}{before}{one_line(node)}{after}"
        if len(line) <= self.width:
            yield line
            return
        inner = prefix + _INDENT
        match node:
            case ast.Call(func=func, args=[ast.Constant(str(text))], keywords=[]):
                yield f"{prefix}{before}{one_line(func)}("
                yield from self._text(text, inner)
                yield f"{prefix}){after}"
            case ast.Call(func=func, args=args, keywords=keywords):
                yield f"{prefix}{before}{one_line(func)}("
                yield from self._items(args, keywords, inner)
                yield f"{prefix}){after}"
            case ast.List(elts=elements):
                yield f"{prefix}{before}["
                yield from self._items(elements, [], inner)
                yield f"{prefix}]{after}"
            case ast.Tuple(elts=elements):
                yield f"{prefix}{before}("
                yield from self._items(elements, [], inner)
                yield f"{prefix}){after}"
            case ast.Constant(str(text)) if " " in text:
                yield f"{prefix}{before}("
                yield from self._text(text, inner)
                yield f"{prefix}){after}"
            case _:
                yield line

    def _items(
        self, args: list[ast.expr], keywords: list[ast.keyword], prefix: str
    ) -> Iterator[str]:
        joined = prefix + ", ".join([*map(one_line, args), *map(_keyword_line, keywords)])
        if len(joined) <= self.width:
            yield joined
            return
        for argument in args:
            yield from self._fitted(argument, prefix, "", ",")
        for keyword in keywords:
            name = f"{keyword.arg}=" if keyword.arg else "**"
            yield from self._fitted(keyword.value, prefix, name, ",")

    def _text(self, text: str, prefix: str) -> Iterator[str]:
        """Yield *text* as strings that Python joins, broken after spaces."""
        room = max(self.width - len(prefix) - 2, 20)
        part = ""
        for word in text.split(" "):
            if part and len(string_literal(f"{part}{word} ")) - 2 > room:
                yield prefix + string_literal(part)
                part = ""
            part += f"{word} "
        yield prefix + string_literal(part[:-1])


def one_line(node: ast.expr) -> str:
    """Return *node* in one line, with double quotes."""
    match node:
        case ast.Constant(str(text)):
            return string_literal(text)
        case ast.Call(func=func, args=args, keywords=keywords):
            arguments = [*map(one_line, args), *map(_keyword_line, keywords)]
            return f"{one_line(func)}({', '.join(arguments)})"
        case ast.Attribute(value=value, attr=name):
            return f"{one_line(value)}.{name}"
        case ast.List(elts=elements):
            return f"[{', '.join(map(one_line, elements))}]"
        case ast.Tuple(elts=[only]):
            return f"({one_line(only)},)"
        case ast.Tuple(elts=elements):
            return f"({', '.join(map(one_line, elements))})"
        case ast.Dict(keys=keys, values=values) if None not in keys:
            pairs = ((key, value) for key, value in zip(keys, values, strict=True) if key)
            items = [f"{one_line(key)}: {one_line(value)}" for key, value in pairs]
            return f"{{{', '.join(items)}}}"
        case ast.Starred(value=value):
            return f"*{one_line(value)}"
    return ast.unparse(node)


def string_literal(text: str) -> str:
    """Return *text* as a string in the quotes that need the fewest backslashes, double first."""
    plain = repr(text)
    if plain.startswith('"') or text.count('"') > text.count("'"):
        return plain
    return '"' + plain[1:-1].replace("\\'", "'").replace('"', '\\"') + '"'


def _keyword_line(keyword: ast.keyword) -> str:
    return (
        f"{keyword.arg}={one_line(keyword.value)}"
        if keyword.arg
        else f"**{one_line(keyword.value)}"
    )


def _item_line(item: ast.withitem) -> str:
    name = f" as {one_line(item.optional_vars)}" if item.optional_vars else ""
    return one_line(item.context_expr) + name
