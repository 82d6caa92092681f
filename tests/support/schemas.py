"""Validate JSON documents against the schemas that ship with the package."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator


def schema_names() -> set[str]:
    return {path.name for path in files("db_ops").joinpath("schemas").iterdir()}


def read_schema(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(
        files("db_ops").joinpath("schemas", name).read_text(encoding="utf-8")
    )
    return schema


def validated(name: str, text: str) -> dict[str, Any]:
    """Return the one document in *text*, or fail with where it breaks the schema *name*.

    The schemas allow fields that they do not know, for readers of a later version's documents; the
    documents of this version may have none.
    """
    document: dict[str, Any] = json.loads(text)
    if document.get("result") == "error" and name != "error.json":
        validated("error.json", text)
    problems = [
        f"{error.json_path}: {error.message}"
        for error in _validator(name).iter_errors(document)
        for error in error.context or [error]
    ]
    assert not problems, "\n".join(problems)
    return document


@cache
def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(
        _closed(read_schema(name)), format_checker=Draft202012Validator.FORMAT_CHECKER
    )


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(part) for name, part in schema.items()}
    if closed.get("type") == "object" and isinstance(closed.get("properties"), dict):
        closed["additionalProperties"] = False
    return closed
