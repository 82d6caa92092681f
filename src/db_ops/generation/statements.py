"""What a revision is made of: pieces of Python, each with what it sends to the server."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from db_ops.postgres.schema.objects import Schema

# What SQLAlchemy takes for a parameter in the text that `op.execute` is given.
_PARAMETER = re.compile(r"(?<![:\w\\]):(?=\w+(?!:))")
_ADDS_VALUE = re.compile(r"ALTER TYPE .* ADD VALUE ", re.S)


@dataclass(frozen=True)
class Piece:
    """One or more lines of a revision; `sql` is what they send, None for Alembic to say."""

    code: str
    sql: str | None = None


class Bench(Protocol):
    """A scratch database to try pieces on; each that works is there for the next."""

    def read(self) -> Schema:
        """Return the schema as it is now."""

    def run(self, piece: Piece) -> str | None:
        """Run *piece*, all or nothing; return why the server refused it, None if it did not."""


def pieces_of(statements: Iterable[str]) -> tuple[Piece, ...]:
    """Return a piece for each of *statements*."""
    return tuple(map(_piece, statements))


def together(statements: Iterable[str]) -> Piece:
    """Return *statements* as one piece, to be tried all or nothing."""
    return Piece("", ";\n".join(statements))


def todo(text: str) -> Piece:
    """Return the comment that names what could not be written."""
    return Piece(f"# {TODO} {text}", "")


TODO = "TODO(db_ops):"


def run_all(bench: Bench, pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """Run *pieces* in their order; return those that the server took."""
    return tuple(piece for piece in pieces if bench.run(piece) is None)


def _piece(statement: str) -> Piece:
    if _ADDS_VALUE.match(statement):
        # A second run, after a failure behind the block, must not fail here.
        statement = statement.replace(" ADD VALUE ", " ADD VALUE IF NOT EXISTS ", 1)
        body = f"with op.get_context().autocommit_block():\n    {_execute(statement)}"
        return Piece(body, statement)
    return Piece(_execute(statement), statement)


def _execute(statement: str) -> str:
    text = _PARAMETER.sub(r"\\:", statement)
    return f"op.execute({text!r})"
