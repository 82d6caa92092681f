"""Colons and backslashes in SQL that a revision file holds."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import postgresql

from db_ops.migrations.autogenerate.revision_text import escape_parameters

STATEMENTS = [
    "CHECK (name ~ '\\:y$')",
    "CHECK (name ~ '\\\\:y\\:')",
    "SELECT ':a', ' :a:b ', '::1', a[1:2], b[:n], x::text, :$1, ':a$b'",
    'DEFAULT \'{"a": 1, "b":2}\'::jsonb',
    "'10:20:30' || E'\\n:x'",
]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_sql_is_sent_as_it_was_whatever_stands_before_its_colons(statement: str) -> None:
    compiled = text(escape_parameters(statement)).compile(dialect=postgresql.dialect())
    assert compiled.params == {}
    assert str(compiled) == statement
