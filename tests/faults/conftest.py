"""What makes the commands of this suite cheap: a process that forks them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.launcher import Launcher
from tests.support.project import Project


@pytest.fixture(scope="session")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """A process that has imported the libraries and forks commands."""
    with Launcher(tmp_path_factory.mktemp("launcher")) as launcher:
        yield launcher


@pytest.fixture
def project(project: Project, launcher: Launcher) -> Project:
    """The project, whose commands are forked instead of started anew."""
    project.runner = launcher.run
    return project
