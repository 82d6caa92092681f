"""What a developer of this project runs before a commit."""

import os
import shlex
import sys

from invoke.context import Context
from invoke.tasks import task

PYTHON = shlex.quote(sys.executable)


def _pytest(context: Context, arguments: str) -> None:
    # A processor waits for its test's server, and for locks: one process more uses it.
    processes = (os.cpu_count() or 1) + 1
    options = f"--numprocesses={processes} --dist=worksteal"
    context.run(f"{PYTHON} -m pytest {options} {arguments}")


@task
def test(context: Context) -> None:
    """Run the quick tests, three minutes of them, on a PostgreSQL that they start themselves."""
    _pytest(context, "--quick tests --ignore=tests/acceptance --ignore=tests/faults")


@task
def test_all(context: Context) -> None:
    """Run every test but the fault suite: of documentation, other projects, benchmarks too."""
    _pytest(context, "tests --ignore=tests/faults")


@task
def test_faults(context: Context) -> None:
    """Run the fault suite: concurrency, kills, broken connections. Takes minutes."""
    context.run(f"{PYTHON} -m pytest --numprocesses=2 --dist=worksteal tests/faults")


@task(
    help={
        "only": "The jobs to run, as in 'no-op-*'; their figures are shown, not written.",
        "update": "Write them: the other jobs keep the figures that they have.",
        "runs": "How often each is timed (default: 3).",
    }
)
def bench(context: Context, only: str = "*", runs: int = 3, update: bool = False) -> None:
    """Measure everything beside its neighbours; write docs/benchmarks.md. Takes twenty minutes."""
    options = f"--only {shlex.quote(only)} --runs {runs}" + " --update" * update
    context.run(f"{PYTHON} -m benchmarks {options}")


@task
def lint(context: Context) -> None:
    """Check style and types."""
    context.run(f"{PYTHON} -m ruff check .")
    context.run(f"{PYTHON} -m ruff format --check .")
    context.run(f"{PYTHON} -m mypy")


@task
def schemas(context: Context) -> None:
    """Write src/db_ops/schemas from the dataclasses of results, errors and events."""
    context.run(f"{PYTHON} -m scripts.schemas")


@task
def screenshots(context: Context) -> None:
    """Take the pictures of the terminal in docs/images again."""
    context.run(f"{PYTHON} -m scripts.screenshots")
