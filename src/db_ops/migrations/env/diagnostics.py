"""The fields of a PostgreSQL error (SQLSTATE, message, detail), whatever the driver."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from db_ops.errors.masking import mask_credentials
from db_ops.migrations.env.error_location import describe_failure, truncate

# Of pg8000's dictionary. https://www.postgresql.org/docs/current/protocol-error-fields.html
_FIELDS = {
    "sqlstate": "C",
    "message": "M",
    "detail": "D",
    "hint": "H",
    "position": "P",
    "function": "R",
}
_SHOWN = 200


@dataclass(frozen=True)
class Diagnostics:
    """The fields of the server's message; `statement` is what was sent, None if unknown.

    `position` counts the characters of the statement from 1.
    """

    message: str
    sqlstate: str | None = None
    detail: str | None = None
    hint: str | None = None
    context: str | None = None
    position: int | None = None
    statement: str | None = None
    # The function of the server's source that raised it; the same in every language.
    function: str | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        """What the server said beside its message, and where in the statement, a line each."""
        return tuple(self._lines())

    def _lines(self) -> Iterator[str]:
        rest = [line.rstrip() for line in self.message.splitlines()[1:]]
        yield from (mask_credentials(line) for line in rest if line.strip())
        if self.position and self.statement and self.position <= len(self.statement):
            before, after = self.statement[: self.position - 1], self.statement[self.position - 1 :]
            number = before.count("\n") + 1
            start = before.rpartition("\n")[2]
            shown = "..." + start[-60:] if len(start) > 63 else start
            head = f"LINE {number}: "
            yield mask_credentials(
                truncate(f"{head}{shown}{after.partition(chr(10))[0]}", _SHOWN)
            ).replace("\t", " ")
            yield f"{' ' * (len(head) + len(shown))}^"
        added = (("DETAIL", self.detail), ("HINT", self.hint), ("CONTEXT", self.context))
        for name, text in added:
            first = f"{name}: "
            for line in (text or "").splitlines():
                yield f"{first}{mask_credentials(line.rstrip())}"
                first = "  "


def diagnostics(error: BaseException) -> Diagnostics | None:
    """Return what the server said; None if *error* is not of the server."""
    statement = getattr(error, "statement", None)
    original: Any = getattr(error, "orig", None) or error
    diag = getattr(original, "diag", None)
    if diag is not None and getattr(diag, "message_primary", None):
        # What psycopg2 has sent holds the parameters, which the position counts.
        sent = getattr(getattr(original, "cursor", None), "query", None)
        sent = sent.decode(errors="replace") if isinstance(sent, bytes) else statement
        position = getattr(diag, "statement_position", None)
        return Diagnostics(
            diag.message_primary,
            diag.sqlstate,
            diag.message_detail,
            diag.message_hint,
            diag.context,
            int(position) if position else None,
            sent,
            getattr(diag, "source_function", None),
        )
    fields = _of_asyncpg(original) or _of_pg8000(original)
    return Diagnostics(**fields, statement=statement) if fields else None


def sqlstate(error: BaseException) -> str | None:
    """Return the SQLSTATE of a driver's error, or of the one that SQLAlchemy wrapped."""
    original = getattr(error, "orig", None) or error
    code = getattr(original, "pgcode", None) or getattr(original, "sqlstate", None)
    if code:
        return str(code)
    said = diagnostics(error)
    return said.sqlstate if said else None


def reason_of(error: BaseException) -> str:
    """Return in one line what the server said, or else what Python did."""
    said = diagnostics(error)
    if said is not None:
        return mask_credentials(said.message.strip().partition("\n")[0])
    return describe_failure(getattr(error, "orig", None) or error)


def statement_of(error: BaseException) -> str:
    """Return the first line of the SQL that failed, without a password that it may hold."""
    text = getattr(error, "statement", None)
    if text is None:
        said = diagnostics(error)
        text = said.statement if said else None
    lines = [line.strip() for line in str(text or "").splitlines() if line.strip()]
    told = next((line for line in lines if not line.startswith("--")), lines[0] if lines else "")
    return mask_credentials(truncate(f"{told} ..." if len(lines) > 1 else told))


def _of_asyncpg(original: Any) -> dict[str, Any] | None:
    # SQLAlchemy's own error keeps asyncpg's as its cause.
    candidates: tuple[Any, ...] = (original, getattr(original, "__cause__", None))
    for one in candidates:
        if getattr(one, "sqlstate", None) and getattr(one, "message", None):
            position = getattr(one, "position", None)
            return {
                "message": one.message,
                "sqlstate": one.sqlstate,
                "detail": getattr(one, "detail", None),
                "hint": getattr(one, "hint", None),
                "context": getattr(one, "context", None),
                "position": int(position) if position else None,
                "function": getattr(one, "server_source_function", None),
            }
    return None


def _of_pg8000(original: Any) -> dict[str, Any] | None:
    said = original.args[0] if getattr(original, "args", None) else None
    if not isinstance(said, dict) or "M" not in said:
        return None
    fields = {name: said.get(key) for name, key in _FIELDS.items()}
    position = fields["position"]
    return {**fields, "context": said.get("W"), "position": int(position) if position else None}
