"""The result of `verify`."""

from __future__ import annotations

from collections.abc import Mapping

from db_ops.errors import ExitCode
from db_ops.frozen_data import FrozenData, field
from db_ops.results.migrate import Result, SchemaFile
from db_ops.results.release import ReleaseCheck
from db_ops.results.status import Drift


class Difference(FrozenData):
    """One thing in which models, migrations and database disagree, and what settles it.

    `subject` names an object of the schema, or one attribute of it; `values` is what each side has
    that was asked (None for nothing), `remedies` all that settles it, in order. `loses_data` warns
    that one of them does.
    """

    kind: str
    description: str
    remedy: str
    subject: str | None = None
    values: Mapping[str, str | None] = field(default_factory=dict)
    remedies: tuple[str, ...] = ()
    loses_data: bool = False


class Silenced(FrozenData):
    """What was not counted as a difference, and why."""

    subject: str
    reason: str


class Verified(Result):
    """What `verify` found; nothing was written. `unchecked` says what could not be compared.

    A `partial` comparison proves agreement only where `alembic check` has nothing to say and the
    catalogs are as they were recorded at the head, which `drift` tells then.

    `pending`, `unknown`, `ahead` and `ahead_is_different` are those of `Status`. `sides` tells how
    each side was come by, `seconds` how long each part took. `alembic` is what `alembic check`
    would change, None if it could not run. `stale` names entries of the baseline that match
    nothing; `accepted` how many differences were written to `baseline` just now, None if that was
    not asked for. `schema_file` is that of the project, where `check-models` has looked at one, and
    `release` what it has found for the release that `--against` names.
    """

    heads: tuple[str, ...]
    current: tuple[str, ...]
    differences: tuple[Difference, ...]
    unchecked: tuple[str, ...]
    partial: bool = False
    drift: Drift | None = None
    pending: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    sides: Mapping[str, str] = field(default_factory=dict)
    alembic: tuple[str, ...] | None = None
    silenced: tuple[Silenced, ...] = ()
    stale: tuple[str, ...] = ()
    accepted: int | None = None
    baseline: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    ahead: tuple[str, ...] = ()
    ahead_is_different: bool = False
    schema_file: SchemaFile | None = None
    release: ReleaseCheck | None = None

    @property
    def agrees(self) -> bool:
        """Tell whether nothing differs, and enough was compared to say so."""
        if self.differences:
            return False
        recorded = self.drift is not None and self.drift.state == "equal"
        return not self.partial or (recorded and self.alembic == ())

    @property
    def exit_code(self) -> ExitCode:
        different = not self.agrees or bool(self.ahead and self.ahead_is_different)
        different = different or bool(self.release and self.release.findings)
        return ExitCode.DIFFERENT if different else ExitCode.DONE
