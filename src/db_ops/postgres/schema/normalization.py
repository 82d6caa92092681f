"""Normalize definitions that the server prints in two spellings.

`name IN ('x', 'y')` on a varchar column is stored as one cast of the list; a dump writes that, and
reading it back stores a cast of each element. The same patterns are given to the server's regular
expressions and to Python's.
"""

from __future__ import annotations

import re

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
