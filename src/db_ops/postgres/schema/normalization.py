"""Normalize definitions that the server, or another version of it, prints in two spellings.

`name IN ('x', 'y')` on a varchar column is stored as one cast of the list; a dump writes that, and
reading it back stores a cast of each element. The same patterns are given to the server's regular
expressions and to Python's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_LITERAL = r"E?'(?:[^']|'')*'::character varying(?:\(\d+\))?"
_ELEMENT = rf"\(({_LITERAL})\)::text"
_LIST = rf"\(ARRAY\[((?:{_LITERAL}(?:, )?)+)\]\)::text\[\]"
_MARK = "::character varying"
_element, _list = re.compile(_ELEMENT), re.compile(_LIST)


def normalize(text: str) -> str:
    """Return a definition in the spelling that a dump and what it is restored to share."""
    if _MARK not in text:
        return text
    return _list.sub(r"ARRAY[\1]", _element.sub(r"\1", text))


def normalize_sql(text: str) -> str:
    """Return the SQL expression for `normalize` of the SQL expression *text*, with no parameter."""
    element, in_list = (pattern.replace("'", "''") for pattern in (_ELEMENT, _LIST))
    return (
        f"CASE WHEN strpos({text}, '{_MARK}') = 0 THEN {text} ELSE"
        f" regexp_replace(regexp_replace({text}, '{element}', '\\1', 'g'),"
        f" '{in_list}', 'ARRAY[\\1]', 'g') END"
    )


# What stands for the beginning of the transaction.
_NOW = re.compile(r"^(?:now\(\)|transaction_timestamp\(\)|current_timestamp)$", re.I)
_TYPED = re.compile(r"^\(?(E?'(?:[^']|'')*')::([a-z ]+)\)?$")
_NUMBER = re.compile(r"^\(?'?(-?\d+(?:\.\d+)?)'?\)?(?:::([a-z ]+))?$")
_NUMERIC = ("smallint", "integer", "bigint", "numeric", "real", "double precision")
_TEXTUAL = ("text", "character varying")


def same_default(one: str | None, other: str | None, column_type: str) -> bool:
    """Tell whether two defaults of a column give the same value in two spellings."""
    if one is None or other is None:
        return one == other
    base = column_type.partition("(")[0]
    return _plain_default(one, base) == _plain_default(other, base)


def _plain_default(text: str, base: str) -> str:
    if _NOW.match(text):
        return "now()"
    number = _NUMBER.match(text)
    if base in _NUMERIC and number and (number[2] or base) in _NUMERIC:
        return number[1]
    typed = _TYPED.match(text)
    # With a length, a cast may cut.
    if typed and (typed[2] == base or {typed[2], base} <= {*_TEXTUAL}):
        return typed[1]
    return text


_SQL_TOKEN = re.compile(
    r"""E?'(?:[^']|'')*'|"(?:[^"]|"")*"|[^\W\d][\w$]*|\d[\w.]*|\s+|.""", re.DOTALL
)
_SUBQUERY = ("SELECT", "WITH", "VALUES")
_AFTER_FROM = ("WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT", "OFFSET", "FETCH", "FOR")
_SEVERAL = ("UNION", "INTERSECT", "EXCEPT")


def without_own_prefix(query: str) -> str:
    """Return a view's *query* as PostgreSQL 16 and later print it.

    Up to 15, columns are qualified even where there is only one relation that they can be of; what
    stands in a subquery is qualified by all versions.
    """
    tokens = _SQL_TOKEN.findall(query)
    inside = list(_opened(tokens))
    top = [number for number, opened in enumerate(inside) if not opened]
    begin = next((number for number in top if tokens[number] == "FROM"), None)
    if begin is None or any(tokens[number] in _SEVERAL for number in top):
        return query
    after = [number for number in top if number > begin]
    ends = (number for number in after if tokens[number] in (*_AFTER_FROM, ";"))
    end = next(ends, len(tokens))
    relation = [tokens[number] for number in after if number < end]
    if "TABLESAMPLE" in relation:
        relation = relation[: relation.index("TABLESAMPLE")]
    joins = (number for number in range(begin, end) if tokens[number] == "JOIN")
    joined = "," in relation or any(len(inside[number]) < 2 for number in joins)
    names = [one for one in relation if re.match(r'["\w]', one)]
    if joined or not names:
        return query
    said, skip = [], 0
    for number, token in enumerate(tokens):
        around = (tokens[number - 1] if number else "", *tokens[number + 1 : number + 3], "", "")
        if skip:
            skip -= 1
        elif (
            token == names[-1]
            and around[0] != "."
            and around[1] == "."
            and around[2] != "*"
            and True not in inside[number]
        ):
            skip = 1
        else:
            said.append(token)
    return "".join(said)


def _opened(tokens: Sequence[str]) -> Iterator[tuple[bool, ...]]:
    """Yield for each token, for each parenthesis that it is in, whether that holds a subquery."""
    opened: tuple[bool, ...] = ()
    for number, token in enumerate(tokens):
        if token == ")":
            opened = opened[:-1]
        yield opened
        if token == "(":
            after = (one for one in tokens[number + 1 :] if not one.isspace())
            opened = (*opened, next(after, "") in _SUBQUERY)
