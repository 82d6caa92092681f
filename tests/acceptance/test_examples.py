"""The example projects of the documentation, run as their readers run them."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.support.doors import run
from tests.support.project import REPOSITORY


@pytest.mark.parametrize("arguments", [(), ("--numprocesses=2",)])
def test_the_bookshop_passes_its_tests(
    tmp_path: Path, server_url: str, arguments: tuple[str, ...]
) -> None:
    root = tmp_path / "bookshop"
    shutil.copytree(REPOSITORY / "examples" / "bookshop", root)
    argv = [sys.executable, "-m", "pytest", "-q", *arguments]
    outcome = run(argv, cwd=root, env={"DB_OPS_TEST_URL": server_url}, timeout=120)
    assert "6 passed" in outcome.succeeded().out
