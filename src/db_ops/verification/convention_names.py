"""Names that a constraint or an index has by the models' naming convention alone.

A revision file that gives it none leaves its name to the convention of the day on which it runs. So
databases from before the convention call it otherwise than those made since, and no file says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from db_ops.frozen_data import replace
from db_ops.postgres.schema.identifiers import unquoted_parts
from db_ops.postgres.schema.objects import Schema
from db_ops.results import Difference, Revision
from db_ops.target.target import Target
from db_ops.verification.verdict import CREATE_MIGRATION, UPGRADE

# The keys of a convention, by how a definition begins.
_KEYS = {"PRIMARY": "pk", "UNIQUE": "uq", "FOREIGN": "fk", "CHECK": "ck", "CREATE": "ix"}
_USUAL = ("ix", "ix_%(column_0_label)s")
_RENAMED = re.compile(r"ALTER (?:TABLE .* RENAME CONSTRAINT|INDEX .* RENAME) (?:.* )?TO (.*)", re.S)


@dataclass(frozen=True)
class ConventionNames:
    """The naming convention of *metadata*, and what the revision files below *root* name."""

    metadata: Any
    root: Path
    revisions: tuple[Revision, ...]

    @classmethod
    def of(cls, target: Target, metadata: Any) -> ConventionNames:
        nodes = target.graph.nodes.values()
        return cls(metadata, target.settings.root, tuple(node.revision for node in nodes))

    def given(self, schema: Schema) -> bool:
        """Tell whether *schema* may have a name that no revision file gives."""
        return bool(self._keys) and any(
            not _says(self._text, unquoted_parts(one.label)[-1])
            for one in schema.objects.values()
            if one.kind in ("constraint", "index")
            and _KEYS.get(one.attributes["definition"].split()[0]) in self._keys
        )

    def explained(
        self, differences: Iterable[Difference], pending: Iterable[Revision]
    ) -> Iterator[Difference]:
        """Yield *differences*; a name from before the convention is nobody's change."""
        to_come = _text(self.root, pending)
        for one in differences:
            renamed = _RENAMED.fullmatch(one.remedies[-1]) if one.remedies else None
            name = unquoted_parts(renamed[1])[-1] if renamed and self._keys else None
            if name is None or one.kind != "drift":
                yield one
            elif _says(to_come, name):
                yield _settled_by(one, "pending", UPGRADE, "pending revisions will change it")
            elif not _says(self._text, name):
                why = "it is named otherwise in databases from before the naming convention"
                yield _settled_by(one, "models", CREATE_MIGRATION, why)
            else:
                yield one

    @cached_property
    def _keys(self) -> frozenset[str]:
        """The kinds of names that the convention decides, and SQLAlchemy's own does not."""
        found = getattr(self.metadata, "naming_convention", None) or {}
        own = {key for key, value in found.items() if (key, value) != _USUAL}
        # A class may stand for its kind.
        return frozenset(own if all(isinstance(key, str) for key in own) else _KEYS.values())

    @cached_property
    def _text(self) -> tuple[str, frozenset[str]]:
        return _text(self.root, self.revisions)


def _settled_by(difference: Difference, kind: str, remedy: str, why: str) -> Difference:
    return replace(
        difference,
        kind=kind,
        description=f"{difference.subject}: {why}",
        remedy=remedy,
        remedies=(remedy,),
    )


def _text(root: Path, revisions: Iterable[Revision]) -> tuple[str, frozenset[str]]:
    text = "\n".join((root / one.path).read_text("utf-8", "replace") for one in revisions)
    return text, frozenset(re.findall(r"\w+", text))


def _says(text: tuple[str, frozenset[str]], name: str) -> bool:
    whole, words = text
    return name in words or (re.search(r"\W", name) is not None and name in whole)
