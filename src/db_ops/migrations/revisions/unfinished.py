"""Revision files in which `create-migration` has left something to be written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from db_ops.errors import UnfinishedMigration
from db_ops.results import Revision

TODO = "TODO(db_ops):"


def refuse_unfinished(root: Path, revisions: Iterable[Revision], remedy: str = "") -> None:
    """Raise `UnfinishedMigration` for the first of *revisions* that holds a TODO of ours."""
    for revision in revisions:
        source = (root / revision.path).read_bytes()
        if TODO.encode() in source:
            lines = source.decode("utf-8", "replace").splitlines()
            left = [line.partition(TODO)[2].strip() for line in lines if TODO in line]
            raise UnfinishedMigration(revision.path, len(left), left[0], remedy)
