"""How often the fault suite repeats what chance decides: DB_OPS_TEST_KILLS kills (200).

All other repetitions are in proportion to that.
"""

from __future__ import annotations

import os

_FULL = 200
KILLS = int(os.environ.get("DB_OPS_TEST_KILLS", _FULL))


def scaled(count: int, least: int) -> int:
    """Return how often to do what the full suite does *count* times, but at least *least* times."""
    return max(least, count * KILLS // _FULL)
