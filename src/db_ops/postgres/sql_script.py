"""Run a file of SQL, as psql reads it, in the transaction of a connection.

It is split into statements, so that an error has its line and COPY its rows. Source: PostgreSQL
documentation, "Lexical Structure"; psql's `psqlscan.l` for the semicolons that end no statement.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg2
from psycopg2.extensions import connection as Connection

from db_ops.postgres.impact.statements import END_OF_DATA, is_copy_from_stdin

_TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*) | (?P<block>/\*) | (?P<escapes>\b[eE]') | (?P<quote>['"])
    | (?P<dollar>\$(?:[^\W\d]\w*)?\$) | (?P<word>[^\W\d][\w$]*) | (?P<psql>\\[^\n]*)
    | (?P<sign>[();]) | (?P<other>\d[\w$]*|[^\s\w'"$();\\/-]+|\S)""",
    re.VERBOSE,
)
_ENDS = {
    "'": re.compile(r"[^']*(?:''[^']*)*'"),
    '"': re.compile(r'[^"]*(?:""[^"]*)*"'),
    "E": re.compile(r"[^'\\]*(?:(?:''|\\.)[^'\\]*)*'", re.DOTALL),
}
_COMMENT_MARK = re.compile(r"/\*|\*/")
# What pg_dump writes, and what changes nothing here: an error ends the script in any case.
_WITHOUT_EFFECT = re.compile(
    r"\\(?:(?:un)?restrict|echo|qecho|timing|set\s+ON_ERROR_(?:STOP|ROLLBACK))\b"
)
_ROUTINE = re.compile(r"CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE)\b")
_BEGINS_OR_COMMITS = re.compile(r"(?:BEGIN|START\s+TRANSACTION|COMMIT|END)\b", re.IGNORECASE)
_ENDS_WORK = re.compile(
    r"(?:(?:ROLLBACK|ABORT)\b(?!.*\bTO\b)|PREPARE\s+TRANSACTION\b)", re.IGNORECASE | re.DOTALL
)
_COPY_LINE = re.compile(r"COPY \S+, line (\d+)")
# What a script sets of its session, as a dump does, is for that script alone.
_SESSION = """
    SELECT name, setting FROM pg_settings WHERE source = 'session'
    UNION ALL SELECT 'role', current_setting('role')
"""


class ScriptError(Exception):
    """A script cannot be read or run; `line` is counted from 1, the cause is the server's error."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line, self.reason = line, reason


@dataclass(frozen=True)
class ScriptStatement:
    """A statement and the line that it begins on; the rows that COPY is given, and their line."""

    text: str
    line: int
    rows: str | None = None
    rows_line: int = 0


def run_script(connection: Connection, script: str) -> None:
    """Run *script* in the open transaction; its own BEGIN and COMMIT count for nothing.

    Raises `ScriptError`.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SESSION)
        session = cursor.fetchall()
        for statement in split_script(script):
            if _ENDS_WORK.match(statement.text):
                raise ScriptError(statement.line, "it would end the transaction of all seeds")
            if _BEGINS_OR_COMMITS.match(statement.text):
                continue
            try:
                if statement.rows is None:
                    cursor.execute(statement.text)
                else:
                    cursor.copy_expert(statement.text, io.StringIO(statement.rows))
            except psycopg2.Error as error:
                raise ScriptError(_line_of(statement, error), "") from error
        cursor.execute("RESET SESSION AUTHORIZATION; RESET ALL")
        for name, value in session:
            cursor.execute("SELECT set_config(%s, %s, false)", (name, value))


def split_script(script: str) -> Iterator[ScriptStatement]:
    """Yield the statements of *script*. Raises `ScriptError` for what is not SQL."""
    reader = _Reader(script)
    while (statement := reader.next()) is not None:
        yield statement


@dataclass
class _Reader:
    script: str
    at: int = 0
    line: int = 1
    _counted: int = 0

    def next(self) -> ScriptStatement | None:
        begin, line, words = None, 0, ""
        parentheses = blocks = 0
        while (token := _TOKEN.search(self.script, self.at)) is not None:
            kind, text, start = token.lastgroup, token[0], token.start()
            self.at = token.end()
            if kind == "comment":
                continue
            if kind == "block":
                self._skip_comment(start)
                continue
            if kind == "psql":
                if begin is None and _WITHOUT_EFFECT.match(text):
                    continue
                name = text.split(None, 1)[0]
                raise ScriptError(self._line_at(start), f"{name} is a command of psql's, not SQL")
            if begin is None:
                if text == ";":
                    continue
                begin, line = start, self._line_at(start)
            if kind in ("quote", "escapes"):
                self._skip_to(_ENDS["E" if kind == "escapes" else text], start, "string")
            elif kind == "dollar":
                self._skip_to(re.compile(f".*?{re.escape(text)}", re.DOTALL), start, "string")
            elif kind == "word":
                word = text.upper()
                words = f"{words} {word}".lstrip()[:60]
                if _ROUTINE.match(words):
                    # The body of a routine may be statements instead of a string.
                    blocks += word == "BEGIN" or (blocks > 0 and word == "CASE")
                    blocks -= word == "END" and blocks > 0
            elif text == ";" and parentheses <= 0 and blocks == 0:
                return self._statement(begin, line)
            elif kind == "sign":
                parentheses += {"(": 1, ")": -1}.get(text, 0)
        if begin is None:
            return None
        self.at = len(self.script)
        return ScriptStatement(self.script[begin:].rstrip(), line)

    def _statement(self, begin: int, line: int) -> ScriptStatement:
        text = self.script[begin : self.at - 1].rstrip()
        if not is_copy_from_stdin(text):
            return ScriptStatement(text, line)
        end_of_line = self.script.find("\n", self.at)
        first = len(self.script) if end_of_line < 0 else end_of_line + 1
        rows_line = self._line_at(first)
        end = re.compile(rf"^{re.escape(END_OF_DATA)}\r?$", re.MULTILINE).search(self.script, first)
        self.at = end.end() if end else len(self.script)
        rows = self.script[first : end.start() if end else self.at]
        return ScriptStatement(text, line, rows, rows_line)

    def _skip_comment(self, start: int) -> None:
        depth = 1
        while depth:
            mark = _COMMENT_MARK.search(self.script, self.at)
            if mark is None:
                raise ScriptError(self._line_at(start), "the comment that begins here has no end")
            depth += 1 if mark[0] == "/*" else -1
            self.at = mark.end()

    def _skip_to(self, end: re.Pattern[str], start: int, what: str) -> None:
        found = end.match(self.script, self.at)
        if found is None:
            raise ScriptError(self._line_at(start), f"the {what} that begins here has no end")
        self.at = found.end()

    def _line_at(self, position: int) -> int:
        self.line += self.script.count("\n", self._counted, position)
        self._counted = position
        return self.line


def _line_of(statement: ScriptStatement, error: psycopg2.Error) -> int:
    """Return the line of the script that the server complains of."""
    row = _COPY_LINE.search(error.diag.context or "")
    if row and statement.rows is not None:
        return statement.rows_line + int(row[1]) - 1
    position = error.diag.statement_position
    before = statement.text[: int(position) - 1] if position else ""
    return statement.line + before.count("\n")
