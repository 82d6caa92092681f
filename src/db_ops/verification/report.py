"""Turn the disagreements of three schemas into the differences of a report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from db_ops.frozen_data import replace
from db_ops.migrations.autogenerate.scope import AutogenerateScope
from db_ops.postgres.schema.objects import Schema
from db_ops.results import Difference, Silenced, Verified
from db_ops.verification.baseline import BaselineEntry, Rules, write_baseline
from db_ops.verification.revision_checks import ADOPT
from db_ops.verification.verdict import CREATE_MIGRATION, Disagreement, judge

_KINDS = {"database": "drift", "not valid": "not-valid"}
_WORDS = {
    "models": "the models are ahead of the migrations",
    "pending": "pending revisions will change it",
    "ahead": "the revisions that this checkout lacks may have changed it",
    "drift": "changed by hand",
    "untracked": "no recorded revision accounts for it",
    "migrations": "models and database have it, the migrations do not",
    "invalid": "the index serves no query",
    "not-valid": "rows from before it were never checked",
}
_CHECK_OUT = "check out the branch that has it"


@dataclass(frozen=True)
class ComparedSchemas:
    """The schemas to compare; None for one that could not be read."""

    models: Schema | None
    migrations: Schema | None
    database: Schema | None


@dataclass(frozen=True)
class Report:
    """What differs, what was silenced, and how the baseline fares.

    `met` are its entries that silenced something, `unaccepted` those that it lacks.
    """

    differences: tuple[Difference, ...] = ()
    silenced: tuple[Silenced, ...] = ()
    met: tuple[BaselineEntry, ...] = ()
    unaccepted: tuple[BaselineEntry, ...] = ()

    def __add__(self, other: Report) -> Report:
        """Return both reports, with what they both name once."""
        return Report(
            *(
                (*ours, *(one for one in theirs if one not in ours))
                for ours, theirs in (
                    (self.differences, other.differences),
                    (self.silenced, other.silenced),
                    (self.met, other.met),
                    (self.unaccepted, other.unaccepted),
                )
            )
        )


def build_report(
    schemas: ComparedSchemas,
    rules: Rules,
    *,
    behind: bool,
    ahead: bool,
    untracked: bool = False,
    scope: AutogenerateScope | None = None,
) -> Report:
    """Judge *schemas*, as far as they are known, by *rules* and by what *scope* leaves out.

    *behind* says that revisions are pending, *ahead* that the database has some that no file here
    has, *untracked* that no revision is recorded in it: then no statement to undo anything is
    proposed. Without migrations, the database's own
    unfinished indexes and constraints are all that can be told.
    """
    known = schemas.migrations or schemas.database
    if known is None:
        return Report()
    database = schemas.database or known
    verdict = judge(
        schemas.models,
        known,
        database,
        behind=behind or ahead,
        ignore=rules.ignore,
        scope=scope,
    )
    differences, unaccepted, met = [], [], []
    silenced = [
        Silenced(one, "not part of a service's schema")
        for one in sorted({*known.silenced, *database.silenced})
    ]
    for disagreement in verdict.disagreements:
        accepted = next((one for one in rules.accepted if one.covers(disagreement)), None)
        if accepted is None:
            unaccepted.append(BaselineEntry.of(disagreement))
            difference = _difference(disagreement, ahead=ahead)
            if schemas.migrations is None:
                difference = _without_migrations(difference)
            differences.append(_to_adopt(difference) if untracked else difference)
        else:
            met.append(accepted)
            silenced.append(Silenced(accepted.subject, f"accepted in {rules.path.name}"))
    silenced += [Silenced(one.subject, reason) for one, reason in verdict.silenced]
    return Report(tuple(differences), tuple(silenced), tuple(met), tuple(unaccepted))


def alembic_differences(operations: Iterable[str]) -> tuple[Difference, ...]:
    """Return the operations of `alembic check` as differences, for want of better ones."""
    return tuple(
        Difference("models", f"models and database differ: {operation}", CREATE_MIGRATION)
        for operation in operations
    )


def settle(
    verified: Verified, report: Report, rules: Rules, *, whole: bool, accept: bool
) -> Verified:
    """Write the baseline if asked to, and say which of its entries match nothing.

    Entries are taken out only if everything was compared.
    """
    if not accept:
        unmet = (one.subject for one in rules.accepted if one not in report.met)
        return replace(verified, stale=tuple(unmet) if whole else ())
    kept = report.met if whole else rules.accepted
    write_baseline(rules.path, (*kept, *report.unaccepted))
    left = tuple(one for one in verified.differences if one.subject is None)
    return replace(verified, differences=left, accepted=len(report.unaccepted))


def _difference(disagreement: Disagreement, *, ahead: bool) -> Difference:
    kind = _KINDS.get(disagreement.cause, disagreement.cause)
    remedies = disagreement.remedies
    if ahead and kind == "pending":
        kind, remedies = "ahead", (_CHECK_OUT,)
    return Difference(
        kind,
        f"{disagreement.subject}: {_WORDS[kind]}",
        remedies[0],
        disagreement.subject,
        disagreement.values,
        remedies,
        disagreement.loses_data,
    )


def _without_migrations(difference: Difference) -> Difference:
    """Return *difference* without what migrations have, which were not looked at."""
    values = {side: text for side, text in difference.values.items() if side != "migrations"}
    text = difference.description
    if difference.kind == "models":
        text = f"{difference.subject}: models and database differ"
    return replace(difference, values=values, description=text)


def _to_adopt(difference: Difference) -> Difference:
    """Return *difference* without a statement: what there was before must not be undone."""
    if difference.kind == "not-valid" or difference.kind == "invalid":
        return difference
    kind = "untracked" if difference.kind in ("drift", "pending") else difference.kind
    kept = tuple(one for one in difference.remedies if one == CREATE_MIGRATION) or (ADOPT,)
    return replace(
        difference,
        kind=kind,
        description=f"{difference.subject}: {_WORDS[kind]}",
        remedy=kept[0],
        remedies=kept,
        loses_data=False,
    )
