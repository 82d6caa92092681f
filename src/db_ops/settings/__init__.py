"""Settings: what they are (`model`), where they come from (`sources`), the URL (`url`)."""

from db_ops.settings.model import DISPOSABLE, RECORDS_SCHEMA, Settings
from db_ops.settings.sources import load, own_variables
from db_ops.settings.url import DatabaseUrl

__all__ = [
    "DISPOSABLE",
    "RECORDS_SCHEMA",
    "DatabaseUrl",
    "Settings",
    "load",
    "own_variables",
]
