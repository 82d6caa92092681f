"""Models drawn and changed at random: `create-migration` is right, or says what it leaves.

The pairs are the same in every run. `python -m tests.support.pairs` judges any number of others,
and what plain Alembic writes for them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.scale import scaled
from tests.support.pairs.draw import draw_pair
from tests.support.pairs.judge import CRASH, INVALID, RIGHT, SAID, Answer, Bench

SEED = 20
PARTS = 10
PAIRS = scaled(500, 20) // PARTS


@pytest.fixture(scope="module")
def bench(
    server_url: str, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Iterator[Bench]:
    bench = Bench(server_url, tmp_path_factory.mktemp("pairs") / "project", f"pairs_{worker_id}")
    yield bench
    bench.close()


@pytest.mark.parametrize("part", range(PARTS))
def test_a_drawn_change_is_written_right_on_tables_with_rows_or_named(
    bench: Bench, part: int
) -> None:
    # The older server gets others than the newer one.
    first = 0 if bench.major >= 18 else 10_000
    answers = [
        bench.judge(draw_pair(SEED, number, bench.major))
        for number in range(first + part * PAIRS, first + (part + 1) * PAIRS)
    ]
    wrong = [one for one in answers if one.outcome not in (RIGHT, SAID, INVALID)]
    assert not wrong, _told(wrong)
    assert not [one for one in answers if one.outcome == CRASH]
    left = [one for one in answers if one.outcome == SAID]
    assert len(left) <= max(1, len(answers) // 10), _told(left)


def _told(answers: list[Answer]) -> str:
    return "\n".join(
        f"{one.pair.number}: {one.outcome}: {one.pair.told}: {one.said} {one.wrong}"
        for one in answers
    )
