"""The command line: one collection of tasks behind every door.

The only room that prints and exits.
"""

from db_ops.cli.commands import collection

__all__ = ["collection"]
