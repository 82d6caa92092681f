"""The base class of results and events: frozen data."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, field
from typing import Any, dataclass_transform


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class FrozenData:
    """Base of frozen data: a subclass is a dataclass of its fields, equal where those are.

    What `dataclass(frozen=True)` would generate for each of them is here once: every command
    imports some twenty, and generating six methods for each took a twentieth of its time.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        dataclass(eq=False, repr=False)(cls)

    def __setattr__(self, name: str, value: Any) -> None:
        # Its own __init__ sets each field once.
        if name in vars(self) or name not in type(self).__dataclass_fields__:  # type: ignore[attr-defined]  # dataclass() sets it
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).values()))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({fields})"
