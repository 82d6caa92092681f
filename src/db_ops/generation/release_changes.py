"""What of two schemas a program that knows the first one may meet in the second one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from db_ops.postgres.relation_facts import (
    ConstraintFacts,
    RelationFacts,
    Relations,
    find_relation,
)
from db_ops.results import Revision

Name = tuple[str | None, str]

# A list of texts in an expression, as pg_get_constraintdef writes it.
_LITERAL = r"'(?:[^']|'')*'(?:::[a-z_ ]+(?:\(\d+\))?)?"
_LITERALS = re.compile(rf"{_LITERAL}(?:, {_LITERAL})*")
_TEXT = re.compile(r"'((?:[^']|'')*)'")
_NOT_NULL = re.compile(r'CHECK \(\(("?)(\w+)\1 IS NOT NULL\)\)')
_SIZED = re.compile(
    r"(character varying|character|text|numeric|smallint|integer|bigint)(?:\((\d+)(?:,(\d+))?\))?\Z"
)
_WIDTHS = {"smallint": 1, "integer": 2, "bigint": 3}
KINDS = {
    "c": "CHECK constraint",
    "f": "foreign key",
    "p": "primary key",
    "u": "unique constraint",
    "x": "exclusion constraint",
}


@dataclass(frozen=True)
class ReleaseSchemas:
    """The schema of a release, and that after each of the pending revisions.

    `known` are the columns of its models, `enums` the labels that they know.
    """

    old: Relations
    steps: Sequence[tuple[Revision, Relations]]
    known: Mapping[Name, frozenset[str]]
    enums: Mapping[tuple[Name, str], tuple[str, ...]]

    @property
    def new(self) -> Relations:
        return self.steps[-1][1]

    def required(self) -> dict[Name, list[str]]:
        """Return the columns that were nullable and are no longer."""
        found: dict[Name, list[str]] = {}
        for name, before, after in self.tables():
            names = [
                column
                for column in sorted(self.known[name] & after.columns.keys())
                if after.columns[column].required and not before.columns[column].required
            ]
            if names:
                found[name] = names
        return found

    def lost_labels(self) -> dict[Name, dict[str, list[str]]]:
        """Return the labels of enums that are gone, or that a type which is now one lacks."""
        found: dict[Name, dict[str, list[str]]] = {}
        for name, before, after in self.tables():
            for column in self.known[name] & after.columns.keys():
                known, labels = self.enums.get((name, column), ()), after.columns[column].labels
                lost = [one for one in known if labels and one not in labels]
                if lost and before.columns[column].labels != labels:
                    found.setdefault(name, {})[column] = lost
        return found

    def now(self, before: RelationFacts) -> RelationFacts | None:
        """Return what *before* is at the end, under whatever name."""
        return next((one for one in self.new if one.oid == before.oid), None)

    def touched(self) -> list[Name]:
        """Return the tables that the pending revisions have changed."""
        return [
            name
            for name in self.known
            if find_relation(self.old, *name) != find_relation(self.new, *name)
        ]

    def added(self) -> dict[Name, list[str]]:
        """Return the new columns that are NOT NULL without a default."""
        return {
            name: found
            for name, before, after in self.tables()
            if (found := unfilled(before, after))
        }

    def tables(self) -> Iterator[tuple[Name, RelationFacts, RelationFacts]]:
        for name in self.known:
            before, after = (find_relation(one, *name) for one in (self.old, self.new))
            if before is not None and after is not None:
                yield name, before, after


def unfilled(before: RelationFacts, after: RelationFacts) -> list[str]:
    """Return the columns that *after* alone has and that have to be given a value."""
    return [
        name
        for name, column in after.columns.items()
        if name not in before.columns and column.required and not column.default
    ]


def new_constraints(
    old: RelationFacts, new: RelationFacts, written: frozenset[str]
) -> tuple[ConstraintFacts, ...]:
    """Return the constraints of *new* that may refuse values which *old* takes.

    Only those that a program can break which has *written* these columns and no others.
    """
    return tuple(
        one for one in new.constraints if is_new(one, old, new) and _reaches(one, old, new, written)
    )


def is_new(one: ConstraintFacts, old: RelationFacts, new: RelationFacts) -> bool:
    """Tell whether no constraint of *old* forbids what *one* does."""
    alike = [other for other in old.constraints if other.kind == one.kind]
    if one.kind == "c":
        filled = _NOT_NULL.match(one.definition)
        if filled and filled[2] in old.columns and old.columns[filled[2]].required:
            return False
        return not any(_is_wider(other.definition, one.definition) for other in alike)
    if one.kind in "pu":
        keys = [set(old.names(other)) for other in old.constraints if other.kind in "pu"]
        if one.columns and any(key and key <= set(new.names(one)) for key in keys):
            return False
        return not any(_nameless(other) == _nameless(one) for other in alike)
    return not any(
        _nameless(other) == _nameless(one)
        # What it refers to may have another name.
        or (other.name == one.name and old.names(other) == new.names(one))
        for other in alike
    )


def _reaches(
    one: ConstraintFacts, old: RelationFacts, new: RelationFacts, written: frozenset[str]
) -> bool:
    names = new.names(one)
    added = [new.columns[name] for name in names if name in new.columns and name not in old.columns]
    if one.kind in "pu" and added:
        # Values that nobody gives are NULL, which is never there twice, or the default.
        constant = all(c.default is not None and _is_constant(c.default) for c in added)
        return constant and "NULLS NOT DISTINCT" not in one.definition
    return not names or bool(written & set(names))


def _is_constant(default: str) -> bool:
    return "(" not in default and default not in ("identity", "generated")


def _is_wider(old: str, new: str) -> bool:
    """Tell whether a CHECK takes all that another one does, as far as lists of texts tell."""
    old, new = (text.removesuffix(" NOT VALID") for text in (old, new))
    if old == new:
        return True
    same = _LITERALS.sub("LIST", old) == _LITERALS.sub("LIST", new)
    return same and set(_TEXT.findall(old)) <= set(_TEXT.findall(new))


def _nameless(one: ConstraintFacts) -> str:
    text = re.sub(r"\AFOREIGN KEY (.*?\)) REFERENCES (.*?\)).*", r"\1 \2", one.definition)
    return re.sub(r"\ACREATE UNIQUE INDEX .*? ON ", "", text).removesuffix(" NOT VALID")


def is_narrower(old: str, new: str) -> bool:
    """Tell whether type *new* refuses, or cuts, values that *old* takes, as far as sizes tell."""
    before, after = _SIZED.match(old), _SIZED.match(new)
    if not before or not after or old == new:
        return False
    (kind, size, scale), (other, new_size, new_scale) = before.groups(), after.groups()
    if other in _WIDTHS:
        return _WIDTHS[other] < _WIDTHS.get(kind, 0)
    if other == "numeric":
        if kind != "numeric" or new_size is None:
            return False
        digits = int(new_size) - int(new_scale or 0)
        return (
            size is None
            or digits < int(size) - int(scale or 0)
            or int(new_scale or 0) < int(scale or 0)
        )
    texts = ("character varying", "character", "text")
    if kind not in texts or other not in texts or new_size is None:
        return False
    return size is None or int(new_size) < int(size)


def differs(
    before: RelationFacts, column: str, *attributes: str
) -> Callable[[RelationFacts | None], bool]:
    """Return what tells whether a column has other *attributes* than *before*."""

    def is_done(relation: RelationFacts | None) -> bool:
        if relation is None or column not in relation.columns:
            return False
        old, new = before.columns.get(column), relation.columns[column]
        return any(getattr(old, one, None) != getattr(new, one) for one in attributes)

    return is_done


def has_constraint(name: str, relation: RelationFacts | None) -> bool:
    return relation is not None and any(one.name == name for one in relation.constraints)


def has_label(column: str, label: str, relation: RelationFacts | None) -> bool:
    return (
        relation is not None
        and column in relation.columns
        and label in relation.columns[column].labels
    )


def lacks_label(column: str, label: str, relation: RelationFacts | None) -> bool:
    return not has_label(column, label, relation)
