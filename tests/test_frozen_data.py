"""Classes whose annotations are their fields behave as frozen dataclasses do."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping

import pytest

from db_ops.frozen_data import FrozenData, as_dict, field, replace


class Point(FrozenData):
    x: int
    y: int = 0
    label: str = field(default="", compare=False, repr=False)


class Named(Point):
    name: str = field(default="", kw_only=True)
    parts: Mapping[str, Point] = field(default_factory=dict)


def test_fields_are_in_the_order_in_which_they_are_declared() -> None:
    made = Named(label="a", name="n", y=2, x=1)
    assert list(vars(made)) == ["x", "y", "label", "name", "parts"]
    assert repr(made) == "Named(x=1, y=2, name='n', parts={})"


@pytest.mark.parametrize(
    ("values", "named"),
    [((), {}), ((1,), {"x": 1}), ((1, 2, "", {}, 5), {}), ((1,), {"z": 1})],
)
def test_a_field_that_is_missing_unknown_or_given_twice_is_an_error(
    values: tuple[object, ...], named: dict[str, object]
) -> None:
    with pytest.raises(TypeError, match="takes"):
        Named(*values, **named)  # type: ignore[arg-type]  # wrong on purpose


def test_nothing_is_assigned_or_deleted() -> None:
    made = Point(1)
    with pytest.raises(AttributeError, match="'x'"):
        made.x = 2  # type: ignore[misc]  # wrong on purpose
    with pytest.raises(AttributeError, match="'x'"):
        del made.x
    assert made.x == 1


def test_equality_is_of_one_class_and_of_what_is_compared() -> None:
    assert Point(1, label="a") == Point(1, 0, "b")
    assert hash(Point(1, label="a")) == hash(Point(1))
    assert Point(1) != Point(2)
    assert Named(1) != Point(1)


def test_each_instance_has_a_default_of_its_own() -> None:
    assert Named(1).parts is not Named(1).parts


def test_a_copy_with_other_values_keeps_the_rest() -> None:
    made = Named(1, name="n")
    assert replace(made, y=5) == Named(1, 5, name="n")
    with pytest.raises(TypeError):
        replace(made, z=1)
    assert copy.deepcopy(made) == pickle.loads(pickle.dumps(made)) == made


def test_it_is_matched_by_position_and_told_as_plain_data() -> None:
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)
    made = Named(1, parts={"a": Point(3)})
    assert as_dict(made)["parts"] == {"a": {"x": 3, "y": 0, "label": ""}}
