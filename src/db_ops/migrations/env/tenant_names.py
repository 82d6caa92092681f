"""Find in the source of env.py by what name it asks which member of a fleet it is run for."""

from __future__ import annotations

import re

_KINDS = "TENANT|SCHEMA|CUSTOMER|CLIENT|ORG|COMPANY|SLUG|SHOP|SITE|WORKSPACE"
_WORDS = rf"\w*(?:{_KINDS})\w*"
_VARIABLE = re.compile(
    rf"(?:environ(?:\.get)?\s*[\[(]|getenv\(|\benv(?:\.str)?\()\s*['\"]({_WORDS})['\"]", re.I
)
_ASKS_X = re.compile(r"\bget_x_argument\b")
_X = re.compile(rf"(?:\.get\(|\[|\bin\b)\s*['\"]({_WORDS})['\"]|['\"]({_WORDS})['\"]\s+in\b", re.I)
_ATTRIBUTE = re.compile(rf"\battributes(?:\.get\(|\[)\s*['\"]({_WORDS})['\"]", re.I)
_NAMED = re.compile(rf"\b([A-Z0-9_]*(?:{_KINDS})[A-Z0-9_]*)\b")
_WHERE = "[tool.db_ops.fleet]"


def how_to_tell(source: str, said: str = "") -> str:
    """Return the setting that tells an env.py of this *source* which member is meant.

    *said* is what it raised where it was not told.
    """
    variable = _VARIABLE.search(source) or _NAMED.search(said)
    text = source if variable is None else _VARIABLE.sub("", source)
    x = _X.search(text) if _ASKS_X.search(source) else None
    if x is not None:
        return f'{_WHERE} x = ["{x[1] or x[2]}={{name}}"]'
    if variable is not None:
        return f'{_WHERE} environment = {{{variable[1]} = "{{name}}"}}'
    attribute = _ATTRIBUTE.search(source)
    if attribute is not None:
        name = attribute[1]
        return (
            f"it takes {name} from config.attributes, which a program of its own sets; let it take "
            f'-x {name}=NAME as well, and connect itself; then {_WHERE} x = ["{name}={{name}}"]'
        )
    return (
        f'{_WHERE} x = ["tenant={{name}}"], or environment = {{TENANT = "{{name}}"}}, by the name '
        "that it asks for"
    )
