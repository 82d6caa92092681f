"""Judge many pairs: `python -m tests.support.pairs COUNT [--seed N] [--start N] [--alembic]`.

DB_OPS_TEST_BINARIES names another PostgreSQL. Prints the share of each outcome, the kinds of what was
left or wrong, and the number of the smallest pair of each kind. `--show` prints the pairs and what
was written, `--shrink` first makes a failing pair as small as it gets.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

from tests.support.cluster import Cluster
from tests.support.pairs.draw import Pair, draw_pair
from tests.support.pairs.judge import INVALID, RIGHT, Answer, Bench
from tests.support.pairs.shrink import shrink


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--alembic", action="store_true")
    parser.add_argument("--verify", action="store_true")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--shrink", action="store_true")
    parser.add_argument("--out")
    options = parser.parse_args()
    cluster = Cluster()
    answers: list[Answer] = []
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(
                cluster.url, Path(folder) / "project",
                compare_with_alembic=options.alembic, verify=options.verify,
            )  # fmt: skip
            for number in range(options.start, options.start + options.count):
                answer = bench.judge(draw_pair(options.seed, number, bench.major))
                if options.shrink and answer.outcome not in (RIGHT, INVALID):
                    answer = _shrunk(bench, answer)
                answers.append(answer)
                if options.out:
                    with Path(options.out).open("a") as out:
                        out.write(json.dumps(_record(answer)) + "\n")
                if options.show:
                    show(answer)
            bench.close()
            print(f"CPU: {_cpu(cluster.process.pid) / options.count:.2f} s a pair")
    finally:
        cluster.remove()
    report(answers, time.monotonic() - started)


def _shrunk(bench: Bench, answer: Answer) -> Answer:
    known = answer.outcome, answer.kind

    def fails(pair: Pair) -> bool:
        again = bench.judge(pair)
        return (again.outcome, again.kind) == known

    return bench.judge(shrink(answer.pair, fails))


def _cpu(server: int) -> float:
    """Return the seconds of this process and of the server's ended sessions."""
    fields = Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()
    ticks = sum(int(one) for one in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK") + sum(os.times()[:4])


def _record(answer: Answer) -> dict[str, object]:
    return {
        "number": answer.pair.number, "outcome": answer.outcome, "kind": answer.kind,
        "told": answer.pair.told, "said": answer.said, "wrong": answer.wrong,
        "seconds": round(answer.seconds, 3), "alembic": answer.alembic,
        "alembic_wrong": answer.alembic_wrong, "notes": answer.notes,
    }  # fmt: skip


def show(answer: Answer) -> None:
    pair = answer.pair
    print("#" * 30, pair.number, answer.outcome, pair.told, pair.renames)
    print(pair.before.source(), "-" * 20, pair.after.source(), "-" * 20, answer.source, sep="\n")
    print(
        *answer.said,
        *answer.wrong,
        "alembic:",
        answer.alembic,
        *answer.alembic_wrong,
        "notes:",
        *answer.notes,
        sep="\n",
    )


def report(answers: list[Answer], seconds: float) -> None:
    outcomes = Counter(one.outcome for one in answers)
    print({name: f"{number} ({number / len(answers):.1%})" for name, number in outcomes.items()})
    times = [one.seconds for one in answers if one.seconds] or [0.0]
    print(
        f"{seconds / len(answers):.2f} s a pair, create-migration {statistics.median(times):.2f} s"
    )
    kinds: defaultdict[tuple[str, str], list[Answer]] = defaultdict(list)
    for one in answers:
        if one.outcome != RIGHT:
            kinds[one.outcome, one.kind].append(one)
    for (outcome, kind), found in sorted(kinds.items(), key=lambda item: -len(item[1])):
        smallest = min(found, key=lambda one: (len(one.pair.told), len(one.pair.before.source())))
        print(
            f"{len(found):4} {outcome}: {kind[:160]} [{smallest.pair.number}: {'; '.join(smallest.pair.told)}]"
        )
    if any(one.alembic for one in answers):
        print("plain alembic:", Counter(one.alembic for one in answers))
        print(
            "worse than alembic:",
            [one.pair.number for one in answers if one.alembic == RIGHT and one.outcome != RIGHT],
        )


if __name__ == "__main__":
    main()
