"""Find and call a function that `[tool.db_ops]` names as `module:function`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any, cast


def project_function(name: str) -> Callable[..., Any]:
    """Import the function that *name* stands for. Raises what that import raises, `TypeError`."""
    module, _, path = name.partition(":")
    found: Any = import_module(module)
    for attribute in path.split("."):
        found = getattr(found, attribute)
    if not callable(found):
        raise TypeError(f"{name} is no function")
    return cast("Callable[..., Any]", found)


def needed_parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters that *function* cannot be called without."""
    return [
        one
        for one in inspect.signature(function).parameters.values()
        if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]


def call_awaiting(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what *function* returns; if that is awaitable, what it is awaited for."""
    result = function(*arguments)
    return asyncio.run(_awaited(result)) if inspect.isawaitable(result) else result


async def _awaited(result: Any) -> Any:
    return await result
