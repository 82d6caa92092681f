"""The command line: one collection of tasks behind every door.

The only room that prints and exits.
"""

import db_ops.cli.process  # noqa: F401  # first, for the imports that follow
from db_ops.cli.commands import collection

__all__ = ["collection"]
