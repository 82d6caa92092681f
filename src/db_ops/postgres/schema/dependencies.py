"""What models refer to and cannot make, taken from the schema that the migrations make."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import replace

from psycopg2.errorcodes import DUPLICATE_TABLE

from db_ops.errors.quote_ident import quote_ident
from db_ops.postgres.failure_tolerant_cursor import FailedStatement
from db_ops.postgres.schema.identifiers import unquoted_parts
from db_ops.postgres.schema.objects import Schema, SchemaObject
from db_ops.postgres.schema.repair import undo_missing

# Models may use these by name; what they need themselves is found the same way.
_REFERRED_TO = (
    "function",
    "procedure",
    "enum",
    "domain",
    "composite type",
    "sequence",
    "collation",
    "view",
    "cast",
)
_OF_MODELS = ("table", "index", "constraint", "sequence", "enum", "domain")
_CREATE_EXTENSION = "CREATE EXTENSION IF NOT EXISTS"
_REFERENCES = re.compile(r"^FOREIGN KEY .* REFERENCES ([^(]+)\(")
_WORD = re.compile(r"\w+")


def schema_and_extension_statements(migrations: Schema) -> tuple[str, ...]:
    """Return the statements that make the schemas and extensions of *migrations*."""
    kinds = {kind: _of_kind(migrations, kind) for kind in ("schema", "extension")}
    return (
        *(f"CREATE SCHEMA IF NOT EXISTS {one.name}" for one in kinds["schema"]),
        *(
            f"{_CREATE_EXTENSION} {one.name} SCHEMA {one.attributes['schema']}"
            f" VERSION '{one.attributes['version']}' CASCADE"
            for one in kinds["extension"]
        ),
    )


def create_extension(name: str) -> str:
    """Return the statement that creates an extension, whose *name* is not quoted."""
    return f"{_CREATE_EXTENSION} {quote_ident(name)} CASCADE"


def required_statements(migrations: Schema, statement: str) -> Iterator[str]:
    """Yield the statements that make what *statement* may refer to, by the words in it.

    For an extension, what makes it in the version that the server has.
    """
    if statement.startswith(_CREATE_EXTENSION):
        yield f"{statement.partition(' VERSION ')[0]} CASCADE"
        return
    words = set(_WORD.findall(statement))
    for kind in _REFERRED_TO:
        for one in _of_kind(migrations, kind):
            create = undo_missing(one) if _words(one) <= words else ()
            if create and create[0].strip() != statement.strip():
                yield ";\n".join(create)


def with_unbuilt_objects(
    models: Schema, migrations: Schema, failed: Iterable[FailedStatement]
) -> Schema:
    """Return *models* with what *failed* statements would have made as *migrations* have it.

    So that a comparison says nothing of what could not be built. Of a name that models give twice,
    nobody knows which they mean.
    """
    objects = dict(models.objects)
    for failure in failed:
        if failure.alone is not None:
            objects |= unbuilt_alone(migrations, failure)
            continue
        words = set(_WORD.findall(failure.statement))
        for kind in _OF_MODELS:
            for one in _of_kind(migrations, kind):
                if (kind, one.name) not in models.objects and _words(one) <= words:
                    objects[kind, one.name] = one
    borrowed = {one.name for key, one in objects.items() if key not in models.objects}
    objects |= {
        key: one
        for key, one in migrations.objects.items()
        if one.parent in borrowed and key not in models.objects
    }
    return replace(models, objects=objects)


def unbuilt_alone(
    migrations: Schema, failed: FailedStatement
) -> dict[tuple[str, str], SchemaObject]:
    """Return the index or constraint of *migrations* that a *failed* statement would have made."""
    kind, name = failed.alone or ("", "")
    anywhere = kind == "index" and failed.sqlstate == DUPLICATE_TABLE
    return {
        (kind, one.name): one
        for one in _of_kind(migrations, kind)
        if unquoted_parts(one.name)[-1] == name
        and (anywhere or unquoted_parts(one.parent or "")[-1:] == (failed.table,))
    }


def with_undefined_tables(models: Schema, migrations: Schema, untyped: Container[str]) -> Schema:
    """Return *models* with the tables of *migrations* that they lack, and all keys to these.

    The columns *untyped*, as `table.column`, become those of *migrations* as well. So that a
    comparison says nothing of what an incomplete set of models cannot know.
    """
    lacking = {
        key: one
        for key, one in migrations.objects.items()
        if key not in models.objects and one.kind in ("table", "sequence", "enum", "domain")
    }
    names = {one.name for one in lacking.values()}
    lacking |= {
        key: one
        for key, one in migrations.objects.items()
        if (key not in models.objects and (one.parent in names or _refers_to(one, names)))
        or (one.kind == "column" and _without_schema(one) in untyped)
    }
    return replace(models, objects={**models.objects, **lacking})


def _without_schema(column: SchemaObject) -> str:
    table = _words(replace(column, label=column.parent or ""))
    return ".".join((*table, *_WORD.findall(column.label)))


def _refers_to(one: SchemaObject, names: Container[str]) -> bool:
    found = _REFERENCES.search(one.attributes.get("definition", ""))
    if one.kind != "constraint" or found is None:
        return False
    return found[1] in names or f"public.{found[1]}" in names


def _of_kind(schema: Schema, kind: str) -> list[SchemaObject]:
    found = [one for (of, _), one in schema.objects.items() if of == kind]
    return sorted(found, key=lambda one: one.name)


def _words(one: SchemaObject) -> set[str]:
    """Return the words of the object's own name, without its schema and its arguments."""
    name = one.label.partition("(")[0]
    quoted = re.search(r'"((?:[^"]|"")+)"$', name)
    return set(_WORD.findall(quoted[1] if quoted else name.rpartition(".")[2]))
