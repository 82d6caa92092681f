"""Errors of `--against`: a release that the models are taken from."""

from __future__ import annotations

from db_ops.errors.base import DbOpsError, SourceError
from db_ops.errors.misuse import MisuseError


class NoRepository(MisuseError):
    """The models of another commit are wanted, and the project is in no git repository."""

    what = "{root}: is in no git repository, so there is no other release to take models from"
    then = "run it in a clone of the project, with git installed"
    root: str


class ReferenceUnknown(MisuseError):
    """Git does not know, or cannot read, what `--against` names."""

    what = "--against {reference}: {reason}"
    then = "{remedy}"
    reference: str
    reason: str
    remedy: str


class ReleaseAhead(DbOpsError):
    """The release has revisions that this checkout does not have."""

    what = "{reference}: has revisions that this checkout has not: {revisions}"
    then = "{remedy}"
    reference: str
    revisions: tuple[str, ...]
    remedy: str


class ReleaseBroken(SourceError):
    """The models of the release do not import in this environment; `path` is within its files."""

    what = "{reference}: {place}: its models do not import here: {reason}"
    then = (
        "install what that release needs, or name one whose models import in this environment;"
        " then run the same command again"
    )
    reference: str = ""
