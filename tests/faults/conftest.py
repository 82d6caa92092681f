"""What several tests of faults begin with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.cluster import Cluster


@pytest.fixture(scope="module")
def original() -> Iterator[Cluster]:
    """A stopped cluster, to copy machines from."""
    cluster = Cluster()
    cluster.stop()
    yield cluster
    cluster.remove()
