"""Compare three schemas; name each disagreement once, with its cause and remedies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from db_ops.migrations.autogenerate.scope import AutogenerateScope
from db_ops.postgres.schema.compare import compare_schemas
from db_ops.postgres.schema.objects import Change, Schema, SchemaObject
from db_ops.verification.model_scope import (
    ModelScope,
    is_expressible_in_models,
    is_of_models,
)

CREATE_MIGRATION = "db-ops create-migration -m MESSAGE"
UPGRADE = "db-ops upgrade"
BY_HAND = (
    "no statement is certain to undo it: restore it by hand, or make it official in a revision"
)
_Key = tuple[str, str, str | None]


@dataclass(frozen=True)
class Disagreement:
    """An object on which the schemas differ, or one `attribute` of it.

    `values` holds what each side says that was asked (`models`, `migrations`, `database`), None for
    nothing. `cause` is `models` (they are ahead of the migrations), `pending` (the database is
    behind), `database` (changed by hand), `migrations` (models and database agree without them),
    `invalid` or `not valid`. `remedies` are commands and SQL, to be run in their order;
    `loses_data` warns that one of them does.
    """

    cause: str
    kind: str
    name: str
    attribute: str | None
    values: Mapping[str, str | None]
    remedies: tuple[str, ...]
    loses_data: bool = False

    @property
    def subject(self) -> str:
        """The object in one line, which ignore patterns are matched with."""
        return f"{self.kind} {self.name}" + (f": {self.attribute}" if self.attribute else "")


@dataclass(frozen=True)
class Verdict:
    """What differs, and what does not count: pairs of a disagreement and why it is silenced."""

    disagreements: tuple[Disagreement, ...]
    silenced: tuple[tuple[Disagreement, str], ...] = ()

    @property
    def agreed(self) -> bool:
        return not self.disagreements


def judge(
    models: Schema | None,
    migrations: Schema,
    database: Schema,
    *,
    behind: bool = False,
    ignore: Iterable[str] = (),
    scope: AutogenerateScope | None = None,
) -> Verdict:
    """Compare what the models make, what the migrations make, and what the database holds.

    *models* is None if they could not be looked at. What models cannot express is compared between
    the other two. *behind* says that revisions are pending, which then explain the database. What
    one of the *ignore* patterns matches (`fnmatch`: a name, or `kind name: attribute`, also of the
    object that it belongs to), what belongs to partitions and what *scope* leaves out is silenced.
    INVALID indexes and NOT VALID constraints of the database are disagreements even where all sides
    have them.
    """
    sides = ModelScope(scope or AutogenerateScope(), (*filter(None, (models,)), migrations))
    ahead = {} if models is None else _by_key(compare_schemas(models, migrations), in_models=True)
    drift = _by_key(compare_schemas(migrations, database))
    left_out = {key: why for key, one in ahead.items() if (why := sides.left_out(one))}
    foreign = {key: why for key, one in drift.items() if (why := sides.foreign(one))}
    foreign |= _schemas_of_foreign(drift, foreign)
    not_counted = [
        (_disagreement(ahead[key], None, asked=True, behind=behind), f"left out by {why}")
        for key, why in left_out.items()
    ] + [
        (_disagreement(None, drift[key], asked=False, behind=behind), f"left out by {why}")
        for key, why in foreign.items()
    ]
    ahead = {key: one for key, one in ahead.items() if key not in left_out}
    drift = {key: one for key, one in drift.items() if key not in foreign}
    # An index that nobody else has is told as that, whatever its state.
    unfinished = [
        (one, about)
        for one, about in _unfinished(database)
        if (about.kind, about.name, None) not in drift
    ]
    named = {one.subject for one, _ in unfinished}
    asked = models is not None
    found: list[tuple[Disagreement, Change | SchemaObject]] = []
    for key, change in {**ahead, **drift}.items():
        here = asked and key not in left_out
        one = _disagreement(ahead.get(key), drift.get(key), asked=here, behind=behind)
        if one.subject not in named:
            found.append((one, change))
    reasons = [(one, _silencing(one, about, ignore)) for one, about in (*found, *unfinished)]
    return Verdict(
        tuple(one for one, reason in reasons if reason is None),
        (*not_counted, *((one, reason) for one, reason in reasons if reason is not None)),
    )


def _schemas_of_foreign(
    drift: Mapping[_Key, Change], foreign: Mapping[_Key, str]
) -> dict[_Key, str]:
    """Return the schemas that only the database has, and for nothing but what is left out."""
    found = {}
    for key, change in drift.items():
        if change.kind == "schema" and change.attribute is None and change.expected is None:
            inside = [one for one in drift if one[1].startswith(f"{change.name}.")]
            if inside and all(one in foreign for one in inside):
                found[key] = foreign[inside[0]]
    return found


def _by_key(changes: Iterable[Change], *, in_models: bool = False) -> dict[_Key, Change]:
    return {
        (change.kind, change.name, change.attribute): change
        for change in changes
        if not in_models or is_of_models(change)
    }


def _disagreement(
    ahead: Change | None, drift: Change | None, *, asked: bool, behind: bool
) -> Disagreement:
    """Combine what the models and what the database say otherwise than the migrations."""
    known = drift or ahead
    assert known is not None
    migrations = drift.expected if drift else known.actual
    values: dict[str, str | None] = {}
    if asked and (ahead is not None or is_expressible_in_models(known)):
        values["models"] = ahead.expected if ahead else migrations
    values["migrations"] = migrations
    values["database"] = drift.actual if drift else migrations
    remedies = [CREATE_MIGRATION] if ahead else []
    if drift:
        remedies.append(UPGRADE if behind else "; ".join(drift.undo) or BY_HAND)
    return Disagreement(
        _cause(values, ahead, drift, behind=behind),
        known.kind,
        known.name,
        known.attribute,
        values,
        tuple(remedies),
        bool(drift and not behind and drift.undo and drift.loses_data),
    )


def _cause(
    values: Mapping[str, str | None], ahead: Change | None, drift: Change | None, *, behind: bool
) -> str:
    if ahead is None:
        return "pending" if behind else "database"
    return "migrations" if drift and values["models"] == values["database"] else "models"


def _unfinished(database: Schema) -> list[tuple[Disagreement, SchemaObject]]:
    """Return the database's INVALID indexes and NOT VALID constraints."""
    found = []
    for one in sorted(database.objects.values(), key=lambda one: one.name):
        state = one.attributes.get("validity")
        if state == "INVALID":
            remedy = f"REINDEX INDEX CONCURRENTLY {one.name}"
        elif state == "NOT VALID":
            owner = "DOMAIN" if one.kind == "domain constraint" else "TABLE"
            remedy = f"ALTER {owner} {one.parent} VALIDATE CONSTRAINT {one.label}"
        else:
            continue
        values = {"database": state}
        cause = state.lower()
        disagreement = Disagreement(cause, one.kind, one.name, "validity", values, (remedy,))
        found.append((disagreement, one))
    return found


def _silencing(
    disagreement: Disagreement, about: Change | SchemaObject, ignore: Iterable[str]
) -> str | None:
    """Return why *disagreement* does not count, None if it does."""
    if isinstance(about, Change) and about.of_partition:
        return "it belongs to a partition"
    whole = f"{disagreement.kind} {disagreement.name}"
    names = (disagreement.name, whole, disagreement.subject, about.parent or disagreement.name)
    for pattern in ignore:
        if any(fnmatchcase(name, pattern) for name in names):
            return f"ignored by {pattern!r}"
    return None
