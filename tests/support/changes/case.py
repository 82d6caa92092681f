"""The form of a single change."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One change of the base database, and every difference that it makes.

    `told` holds `kind name` of an object that only one side has, `kind name: attribute` otherwise.
    `in_models` tells whether SQLAlchemy models can express it, so that autogenerate might see it.
    `silenced` is for what belongs to a partition. `alone` statements run outside a transaction.
    """

    name: str
    sql: str
    told: tuple[str, ...]
    in_models: bool = True
    since: int = 14
    silenced: bool = False
    alone: bool = False


def case(name: str, sql: str, *told: str, **options: bool | int) -> Case:
    """Return a `Case`, written short."""
    return Case(name, sql, told, **options)  # type: ignore[arg-type]  # fields of Case only
