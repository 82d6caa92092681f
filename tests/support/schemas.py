"""Validate JSON documents against the schemas that ship with the package."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource


def schema_names() -> set[str]:
    return {path.name for path in files("db_ops").joinpath("schemas").iterdir()}


def read_schema(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(
        files("db_ops").joinpath("schemas", name).read_text(encoding="utf-8")
    )
    return schema


def validated(name: str, text: str) -> dict[str, Any]:
    """Return the one document in *text*, or fail with where it breaks the schema *name*."""
    document: dict[str, Any] = json.loads(text)
    problems = [
        f"{error.json_path}: {error.message}"
        for error in _validator(name).iter_errors(document)
        for error in error.context or [error]
    ]
    assert not problems, "\n".join(problems)
    return document


@cache
def _validator(name: str) -> Draft202012Validator:
    resources = [(one, Resource.from_contents(read_schema(one))) for one in schema_names()]
    return Draft202012Validator(
        read_schema(name),
        registry=Registry().with_resources(resources),
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )
