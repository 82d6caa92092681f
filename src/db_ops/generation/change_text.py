"""Describe schema differences, and the data that settling them loses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from db_ops.postgres.schema.identifiers import display_name, unquoted_parts
from db_ops.postgres.schema.objects import Change
from db_ops.postgres.schema.repair import literal
from db_ops.postgres.schema.sequence_options import OWN_SEQUENCE

_NOT_SHOWN = 60
_TAKES_OVER = ("default", OWN_SEQUENCE)


def changed_attributes(
    changes: Iterable[Change],
) -> dict[tuple[str, tuple[str, ...]], frozenset[str | None]]:
    """Return which attributes differ, by kind and unquoted name; None for the whole object."""
    found: dict[tuple[str, tuple[str, ...]], set[str | None]] = {}
    for change in changes:
        found.setdefault((change.kind, unquoted_parts(change.name)), set()).add(change.attribute)
    return {key: frozenset(attributes) for key, attributes in found.items()}


def describe_change(change: Change) -> str:
    """Describe in one line what has to change in the migrations."""
    subject = f"{change.kind} {display_name(change.name)}"
    if change.attribute is None:
        verb = "drop" if change.expected is None else "add"
        value = change.expected if change.expected is not None else change.actual
        return f"{verb} {subject}" + (f" ({_brief(value)})" if value else "")
    before, after = _apart(change.actual, change.expected)
    return f"change {change.attribute} of {subject}: {before} -> {after}"


def losses(changes: Iterable[Change], earlier: Mapping[str, str]) -> Iterator[str]:
    """Describe the data that each change loses, if any, by the *earlier* name if it has one."""
    changes = tuple(changes)
    # The column's own sequence goes on from there, or is that very one.
    taken_over = {
        change.actual for change in changes if (change.attribute, change.expected) == _TAKES_OVER
    }
    for change in changes:
        name = display_name(earlier.get(change.name, change.name))
        if change.attribute is None and change.expected is None:
            if change.kind == "table":
                yield f"drops table {name} with all its rows"
            elif change.kind == "column":
                yield f"drops column {name} with its values"
            elif change.kind == "sequence" and _drawing(change.name) not in taken_over:
                yield f"drops sequence {name} and how far it has counted"
        elif (
            (change.kind, change.attribute) == ("column", "generated")
            and change.expected
            and change.actual is None
        ):
            yield f"replaces the values of {name} by computed ones"


def refused_values(removed: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Describe which rows the upgrade fails on for what is *removed* from enums."""
    for name, values in removed.items():
        yield (
            f"upgrade, where a row holds {', '.join(values)} of {display_name(name)}: removed"
            " from the type, so such rows have to be changed first"
        )


def values_removed(changes: Iterable[Change]) -> dict[str, tuple[str, ...]]:
    """Return the values that *changes* remove, by the enum's name."""
    of_enums = (one for one in changes if (one.kind, one.attribute) == ("enum", "values"))
    return {one.name: gone for one in of_enums if (gone := removed_values(one))}


def _drawing(sequence: str) -> str:
    return f"nextval({literal(sequence)}::regclass)"


def removed_values(change: Change) -> tuple[str, ...]:
    """Return the values that an enum has in the migrations and has not in the models."""
    wanted = set(_values(change.expected))
    return tuple(value for value in _values(change.actual) if value not in wanted)


def explain_todo(change: Change, reason: str | None) -> str:
    """Describe what could not be written, and why."""
    return describe_change(change) + (
        f": {reason}" if reason else ": no statement is certain to do it"
    )


def is_left_by_downgrade(change: Change) -> bool:
    """Tell whether a downgrade may leave *change* as it is: enum values that nothing uses."""
    if (change.kind, change.attribute) != ("enum", "values"):
        return False
    present = _values(change.actual)
    wanted = _values(change.expected)
    return [value for value in present if value in wanted] == wanted


def left_by_downgrade(changes: Iterable[Change]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Describe what a downgrade leaves of *changes*: what it may, and what it should not have."""
    kept, lost = [], []
    for change in changes:
        if is_left_by_downgrade(change):
            stays = f"{', '.join(removed_values(change))} stays in type {display_name(change.name)}"
            kept.append(f"{stays}: what depends on its columns holds it")
        else:
            lost.append(f"not reverted: {describe_change(change)}")
    return tuple(kept), tuple(lost)


def _values(values: str | None) -> list[str]:
    return re.findall(r"E?'(?:[^']|'')*'", values or "")


def _apart(before: str | None, after: str | None) -> tuple[str, str]:
    """Return both values in brief; if they are long, without most of what they share."""
    old, new = (_plain_words(value).split(" ") for value in (before, after))
    start = end = 0
    if max(len(" ".join(old)), len(" ".join(new))) > _NOT_SHOWN:
        shorter = min(len(old), len(new))
        while start < shorter - 1 and old[start] == new[start]:
            start += 1
        while end < shorter - start - 1 and old[-1 - end] == new[-1 - end]:
            end += 1
        start = max(start - 1, 0)
    opening, closing = "... " * bool(start), " ..." * bool(end)
    old, new = (words[start : len(words) - end] for words in (old, new))
    return tuple(f"{opening}{_brief(' '.join(words))}{closing}" for words in (old, new))  # type: ignore[return-value]  # two of them


def _plain_words(value: str | None) -> str:
    return " ".join((value or "none").split()).replace("public.", "")


def _brief(value: str | None) -> str:
    text = _plain_words(value)
    return text if len(text) <= _NOT_SHOWN else text[: _NOT_SHOWN - 3] + "..."
