"""Changes of the corpus fed to `create-migration`: complete or named, never missed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.changes.written import COMPLETE, TODO, Written, cases

# One of each kind, and every one that is known to end as a TODO; the module judges all of them.
CHOSEN = (
    "default draws another sequence",
    "computed expression",
    "identity start",
    "collation changed",
    "column of a quoted table",
    "EXCLUDE WHERE",
    "foreign key initially deferred",
    "CHECK list",
    "index operator class",
    "index renamed",
    "sequence type",
    "enum value added",
    "domain CHECK",
    "enum value removed",
    "enum values in another order",
)
NAMED = ("partition key changed",)
ASKED = ("column renamed", "table renamed")


@pytest.fixture(scope="module")
def written(server_url: str, worker_id: str) -> Iterator[Written]:
    """Judges changes on a copy of the corpus' base."""
    with Written(server_url, prefix=f"corpus_{worker_id}") as opened:
        yield opened


# SQLAlchemy reflects no composite types; the corpus has a column of one.
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", [*CHOSEN, *NAMED, *ASKED])
def test_a_change_is_written_or_named(written: Written, name: str) -> None:
    (case,) = [case for case in cases(written.base.major) if case.name == name]
    answer = written.judge(case)
    assert answer.outcome == (TODO if name in NAMED else COMPLETE), answer
    assert answer.asked == (name in ASKED)
