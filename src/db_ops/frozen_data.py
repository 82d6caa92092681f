"""Frozen data: classes whose annotations are their fields, without what `dataclasses` costs.

`dataclass` compiles six methods for every class, and imports `inspect` to do so: of a command that
finds nothing to do, that was a third. Here each method is written once, for all classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, dataclass_transform

if TYPE_CHECKING:
    # At run time Python would compile what it is bound to.
    _Data = TypeVar("_Data", bound="WithFields")

_REQUIRED: Any = object()


class Field:
    """What is special about a field; see `field`."""

    def __init__(
        self,
        default: Any = _REQUIRED,
        default_factory: Callable[[], Any] | None = None,
        compare: bool = True,
        repr: bool = True,
        kw_only: bool = False,
    ) -> None:
        self.default = default
        self.default_factory = default_factory
        self.compare = compare
        self.repr = repr
        self.kw_only = kw_only

    @property
    def is_required(self) -> bool:
        return self.default is _REQUIRED and self.default_factory is None

    def value(self) -> Any:
        """Return the default."""
        return self.default if self.default_factory is None else self.default_factory()


def field(**options: Any) -> Any:
    """Declare a field as `dataclasses.field` does.

    Parameters
    ----------
    options: default, default_factory, compare (True), repr (True), kw_only (False).
    """
    return Field(**options)


class WithFields:
    """Base of classes whose instances have the fields that are annotated, those of a base first.

    Raises
    ------
    TypeError: a field is missing, unknown or given twice.
    """

    _fields: ClassVar[Mapping[str, Field]] = {}
    _positional: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *values: Any, **named: Any) -> None:
        fields, own = self.fields(), vars(self)
        given = dict(zip(self._positional, values, strict=False)) | named
        # In their order, whatever that of the arguments: others rely on that of `vars`.
        for name, one in fields.items():
            if name in given:
                own[name] = given[name]
            elif not one.is_required:
                own[name] = one.value()
        if len(own) < len(fields) or len(given) < len(values) + len(named) or given.keys() - own:
            raise TypeError(f"{type(self).__name__} takes {', '.join(fields)}")

    @classmethod
    def fields(cls) -> Mapping[str, Field]:
        """Return the fields by name."""
        known = vars(cls).get("_fields")
        if known is None:
            known = {}
            for kind in reversed(cls.__mro__):
                for name, hint in vars(kind).get("__annotations__", {}).items():
                    if "ClassVar" not in hint:
                        value = vars(kind).get(name, _REQUIRED)
                        known[name] = value if isinstance(value, Field) else Field(value)
            cls._fields = known
            cls._positional = tuple(name for name, one in known.items() if not one.kw_only)
        return known

    def __repr__(self) -> str:
        values = vars(self)
        shown = ", ".join(
            f"{name}={values[name]!r}" for name, one in self.fields().items() if one.repr
        )
        return f"{type(self).__name__}({shown})"


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class FrozenData(WithFields):
    """Base of frozen data: two are equal where they are of one class and their fields are equal."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.fields()
        cls.__match_args__ = cls._positional  # type: ignore[attr-defined, misc]  # mypy derives its own

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"cannot delete field {name!r}")

    def _compared(self) -> tuple[Any, ...]:
        values = vars(self)
        return tuple(values[name] for name, one in self.fields().items() if one.compare)

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash((type(self), self._compared()))

    def __replace__(self, **changes: Any) -> FrozenData:
        # What `copy.replace` calls, since Python 3.13.
        return replace(self, **changes)


def replace(data: _Data, **changes: Any) -> _Data:
    """Return *data* with other values in the fields that are named."""
    values = vars(data)
    return type(data)(**{name: values[name] for name in data.fields()} | changes)


def as_dict(data: FrozenData) -> dict[str, Any]:
    """Return the fields of *data* by name, and so of all data within it; tuples become lists."""
    values = vars(data)
    return {name: _plain(values[name]) for name in data.fields()}


def _plain(value: Any) -> Any:
    if isinstance(value, FrozenData):
        return as_dict(value)
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return value
