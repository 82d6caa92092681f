"""Wait between two attempts at something that others are after, too."""

from __future__ import annotations

import time


def sleep_about(seconds: float) -> None:
    """Sleep for half to all of *seconds*: those that wait do not all come at once."""
    # Nearly every command gets by with its first attempt, and without this module.
    import random

    time.sleep(seconds * random.uniform(0.5, 1.0))
