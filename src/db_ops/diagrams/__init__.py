"""Pictures of schemas and of revision graphs, as Mermaid and as SVG. Knows no database.

Equal input gives equal text, so that a file of it can be compared in CI.
"""

from db_ops.diagrams.mermaid import revisions_as_mermaid, schema_as_mermaid
from db_ops.diagrams.model import Column, Reference, RevisionBox, Table
from db_ops.diagrams.revisions_svg import revisions_as_svg
from db_ops.diagrams.schema_svg import schema_as_svg

__all__ = [
    "Column",
    "Reference",
    "RevisionBox",
    "Table",
    "revisions_as_mermaid",
    "revisions_as_svg",
    "schema_as_mermaid",
    "schema_as_svg",
]
