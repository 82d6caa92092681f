"""The result of `diagram`."""

from __future__ import annotations

from db_ops.errors import ExitCode
from db_ops.results.migrate import Result


class Diagram(Result):
    """A picture of the schema or, with `revisions`, of the revision graph.

    `text` is all of it, in Mermaid. `path` is the file that it belongs in,
    if one was named, and `changed` whether that file had something else in it, or nothing. With
    `check`, nothing was written.
    """

    revisions: bool
    path: str | None
    changed: bool
    check: bool
    text: str

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.DIFFERENT if self.check and self.changed else ExitCode.DONE
