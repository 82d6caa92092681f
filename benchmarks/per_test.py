"""A database for each test: our fixture beside a bare clone, in turn in one run of pytest."""

from __future__ import annotations

import json
import re

from benchmarks.contenders import Command
from benchmarks.measure import Measured
from benchmarks.projects import write_files
from benchmarks.workshop import CommandFailed, Workshop

BARE = "CREATE DATABASE ... TEMPLATE"
PLUGIN = "fixture database_url"
_TO_THE_END = ", with teardown"
_PYTEST = Command(
    "pytest",
    "db_ops",
    ("python", "-m", "pytest", "-q", "-pno:cacheprovider", "--tb=line", "bench_tests"),
)
_CONFTEST = """
import json
import os
import time
from collections import defaultdict
from pathlib import Path

import psycopg2
import pytest

TIMES = defaultdict(list)
CONNECTION = psycopg2.connect(os.environ["DB_OPS_TEST_URL"])
CONNECTION.autocommit = True


@pytest.fixture
def bare():
    with CONNECTION.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE bare_clone TEMPLATE {os.environ['BENCH_TEMPLATE']}")
        yield
        cursor.execute("DROP DATABASE bare_clone WITH (FORCE)")


def timed(item, phase):
    started = time.perf_counter()
    result = yield
    TIMES[f"{item.name.split('_')[1]} {phase}"].append(time.perf_counter() - started)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    return (yield from timed(item, "before"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item):
    return (yield from timed(item, "after"))


def pytest_sessionfinish():
    Path(os.environ["BENCH_TIMES"]).write_text(json.dumps(TIMES))
"""
_TESTS = """
def test_bare_{number}(bare):
    pass


def test_plugin_{number}(database_url):
    pass
"""


def test_databases(workshop: Workshop, runs: int, revisions: int, tables: int) -> list[Measured]:
    """Measure how long a test waits for its database, and with the end of it; twice *runs*."""
    project = workshop.project(revisions, tables)
    count = 2 * runs + 1
    write_files(
        project.ours / "bench_tests",
        {
            "conftest.py": _CONFTEST,
            "test_databases.py": "".join(_TESTS.format(number=n) for n in range(count)),
        },
    )
    written = project.root / "times.json"
    said = ""
    try:
        workshop.run(
            _PYTEST,
            project,
            "postgres",
            DB_OPS_TEST_URL=workshop.server.url("postgres"),
            BENCH_TEMPLATE=workshop.template(project),
            BENCH_TIMES=str(written),
        )
    except CommandFailed as error:
        reasons = re.findall(r"^E +(.+)", error.said, re.MULTILINE)
        said = "; ".join(dict.fromkeys(reasons)) or str(error)
    times = json.loads(written.read_text()) if written.exists() else {}
    return [
        result
        for name, kind, ours in ((BARE, "bare", False), (PLUGIN, "plugin", True))
        for result in _measured(name, kind, ours, times, said)
    ]


def _measured(
    name: str, kind: str, ours: bool, times: dict[str, list[float]], said: str
) -> list[Measured]:
    # The first of each is the warm-up: the template may be built in it.
    before, after = times.get(f"{kind} before", [])[1:], times.get(f"{kind} after", [])[1:]
    whole = [sum(pair) for pair in zip(before, after, strict=False)]
    absent = "" if before else said
    return [
        Measured(name, ours, before, absent=absent),
        Measured(name + _TO_THE_END, ours, whole if before else [], absent=absent),
    ]
