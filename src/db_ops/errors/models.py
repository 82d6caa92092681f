"""Errors of the models, which env.py hands to Alembic."""

from __future__ import annotations

from collections.abc import Mapping

from db_ops.errors.base import DbOpsError, SourceError


class EmptyMetadata(DbOpsError):
    """The metadata handed to Alembic holds no table: the models were never imported."""

    what = "{path}: the metadata of the models is empty"
    then = (
        "import the modules of the models in {path} before their metadata is used, or name them in "
        'pyproject.toml: [tool.db_ops] models = ["package.module"]'
    )
    path: str


class ModelsBroken(SourceError):
    """SQLAlchemy cannot build the models: they contradict themselves or each other."""

    what = "{place}: its models cannot be built: {reason}"
    then = "correct the models that {path} holds or imports; DB_OPS_DEBUG=1 shows the traceback"


class ModelsRefused(SourceError):
    """The server refused to create what models declare, so that they cannot be compared.

    `extension` is the one that is missing, if its name is known; `others` are further statements
    that were refused.
    """

    what = "{place}: the server refused {table}: {reason}"
    then = "{remedy}"
    table: str = ""
    remedy: str = ""
    extension: str | None = None
    others: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        return (*super().notes, *self.others)


class ModelTableMissing(ModelsBroken):
    """A model refers to a table that no model defines: its module was never imported.

    `reason` is the column, `module` the one that seems to define the table, if any does.
    """

    what = "{place}: {reason} refers to table {table!r}, which no imported module defines"
    then = (
        "import the module that defines it in env.py, or name it in pyproject.toml: "
        '[tool.db_ops] models = ["{named}"]'
    )
    table: str = ""
    module: str = ""

    def described(self) -> Mapping[str, object]:
        return {**super().described(), "named": self.module or "package.module"}
