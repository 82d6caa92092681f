"""JSON Schemas of everything that `db_ops` prints as JSON, derived from its classes.

`inv schemas` writes them into `src/db_ops/schemas`; a test holds that they are what is there.
"""

from __future__ import annotations

import inspect
import json
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import db_ops
from db_ops import errors, results
from db_ops.cli.commands import BY_NAME
from db_ops.cli.log import NOT_LOGGED
from db_ops.errors import DbOpsError
from db_ops.frozen_data import FrozenData
from db_ops.results import Result

FOLDER = Path(__file__).parents[1] / "src" / "db_ops" / "schemas"
DRAFT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]
_SCALARS: dict[object, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    object: {},
    Any: {},
}

# What a flag makes of a command returns something else.
_WITH_A_FLAG = {
    "stamp": (db_ops.find_revisions,),
    "undo": (db_ops.undo_list,),
    "create-migration": (db_ops.rebase_migration,),
    "upgrade": (db_ops.plan_upgrade, db_ops.upgrade_sql),
    "downgrade": (db_ops.plan_downgrade,),
}


def all_schemas() -> dict[str, Schema]:
    """Return the schema of each file: one for a command, one for errors, one for the log."""
    commands = {f"{name}.json": command_schema(name, function_of(name)) for name in BY_NAME}
    return {**commands, "error.json": error_schema(), "log.json": log_schema()}


def function_of(command: str) -> Callable[..., Any]:
    """Return the function of a *command*: `load` is that of the settings."""
    name = {"load": "load_dump"}.get(command, command.replace("-", "_"))
    function: Callable[..., Any] = getattr(db_ops, name)
    return function


def write() -> None:
    """Write the schemas and remove those of commands that there are no longer."""
    FOLDER.mkdir(exist_ok=True)
    schemas = all_schemas()
    for path in FOLDER.glob("*.json"):
        if path.name not in schemas:
            path.unlink()
    for name, schema in schemas.items():
        (FOLDER / name).write_text(text_of(schema))


def text_of(schema: Schema) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def command_schema(name: str, function: Callable[..., object]) -> Schema:
    """Return the schema of what a command prints with `--json`: its result, or an error."""
    known: dict[str, Schema] = {}
    functions = (function, *_WITH_A_FLAG.get(name, ()))
    kinds = [kind for one in functions for kind in _members(typing.get_type_hints(one)["return"])]
    found = [_result(kind, known) for kind in kinds]
    return {
        "$schema": DRAFT,
        "$id": f"{name}.json",
        "title": f"db-ops {name} --json",
        "description": _said(function),
        "oneOf": [
            *found,
            _error_envelope("The command failed; error.json has each error's details."),
        ],
        "$defs": known,
    }


def error_schema() -> Schema:
    """Return the schema of every error: `error` decides what the details are."""
    known: dict[str, Schema] = {}
    kinds = [getattr(errors, name) for name in sorted(errors.__all__) if name != "ExitCode"]
    raised = [kind for kind in kinds if hasattr(kind, "what")]
    return {
        "$schema": DRAFT,
        "$id": "error.json",
        "title": "What any command prints with --json when it fails",
        **_error_envelope("An error: its type, what people are told, and its data."),
        "oneOf": [_error(kind, known) for kind in raised],
        "$defs": known,
    }


def log_schema() -> Schema:
    """Return the schema of one line on stderr under `DB_OPS_LOG=json`."""
    known: dict[str, Schema] = {}
    logged = [one for one in typing.get_args(results.Event) if one not in NOT_LOGGED]
    return {
        "$schema": DRAFT,
        "$id": "log.json",
        "title": "One line on stderr under DB_OPS_LOG=json",
        "oneOf": [*(_event(one, known) for one in logged), _FAILED, _NOTED, _ENDED],
        "$defs": known,
    }


def _result(kind: type[Result], known: dict[str, Schema]) -> Schema:
    head = {"result": {"const": kind.__name__.lower()}, "exit_code": {"type": "integer"}}
    return _object(_said(kind), {**head, **_fields(kind, known)})


def _error_envelope(description: str) -> Schema:
    return _object(
        description,
        {
            "result": {"const": "error"},
            "exit_code": {"type": "integer"},
            "error": {"type": "string"},
            "message": {"type": "string"},
            "hint": {"type": "string"},
            "details": {"type": "object"},
        },
    )


def _error(kind: type[DbOpsError], known: dict[str, Schema]) -> Schema:
    return {
        "description": _said(kind),
        "properties": {
            "error": {"const": kind.__name__},
            "exit_code": {"const": int(kind.exit_code)},
            "details": _object(None, _fields(kind, known)),
        },
    }


_STAMP: Schema = {
    "time": {"type": "string", "format": "date-time"},
    "level": {"enum": ["info", "error"]},
}


def _event(kind: type[Any], known: dict[str, Schema]) -> Schema:
    return _object(
        _said(kind), {**_STAMP, "event": {"const": kind.__name__}, **_fields(kind, known)}
    )


def _fields(kind: type[Any], known: dict[str, Schema]) -> dict[str, Schema]:
    hints = typing.get_type_hints(kind)
    return {name: _of(hints[name], known) for name in kind.fields()}


def _of(hint: Any, known: dict[str, Schema]) -> Schema:
    """Return the schema of a type; those of frozen data are collected in *known*."""
    if hint in _SCALARS:
        return dict(_SCALARS[hint])
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_of(argument, known) for argument in arguments]}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"enum": [member.value for member in hint]}
    if isinstance(hint, type) and issubclass(hint, FrozenData):
        if hint.__name__ not in known:
            known[hint.__name__] = {}
            known[hint.__name__] = _object(_said(hint), _fields(hint, known))
        return {"$ref": f"#/$defs/{hint.__name__}"}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _of(arguments[1], known)}
    if origin in (tuple, list) and (len(arguments) == 1 or arguments[1] is Ellipsis):
        return {"type": "array", "items": _of(arguments[0], known)}
    if origin is tuple:
        return {"type": "array", "prefixItems": [_of(argument, known) for argument in arguments]}
    raise TypeError(f"no JSON Schema for {hint}: add it to {__file__}")


def _object(description: str | None, properties: dict[str, Schema]) -> Schema:
    about = {"description": description} if description else {}
    return {
        **about,
        "type": "object",
        "properties": properties,
        "required": list(properties),
    }


def _members(hint: Any) -> tuple[Any, ...]:
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return typing.get_args(hint) if is_union else (hint,)


def _said(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").partition("\n\n")[0].replace("\n", " ")


_FAILED = _object(
    "The command failed; error.json says which details an error has.",
    {
        **_STAMP,
        "event": {"const": "Failed"},
        "exit_code": {"type": "integer"},
        "error": {"type": "string"},
        "message": {"type": "string"},
        "hint": {"type": "string"},
        "details": {"type": "object"},
    },
)
_NOTED = _object(
    "What is no error and may be a mistake, as a misspelt variable.",
    {**_STAMP, "event": {"const": "Noted"}, "text": {"type": "string"}},
)
_ENDED = _object(
    "The last line of a command.",
    {
        **_STAMP,
        "event": {"const": "Ended"},
        "command": {"type": "string"},
        "exit_code": {"type": "integer"},
        "seconds": {"type": "number"},
    },
)

if __name__ == "__main__":
    write()
