"""The results of `create-migration` and `create-migration --rebase`."""

from __future__ import annotations

from db_ops.errors import ExitCode
from db_ops.results.migrate import Result, Revision, SchemaFile
from db_ops.results.plan import UnsafePattern
from db_ops.results.release import ReleaseCheck


class MigrationCreated(Result):
    """The revision file written, or None where nothing differs in what was compared.

    `operations` is what it does, `losses` what that loses, `refusals` which values of rows make it
    fail, `unsafe` what of it would hurt on tables with rows and users, as measured. `todos` is what
    could not be written, `unproven` what went wrong when it was tried: with either, the file is no
    revision yet. `kept` is what its downgrade leaves as it is. `unchecked` says what could not be
    looked at, `left_out` which indexes and constraints of the models the server refuses: those are
    in no file. `schema_file` is None where there is none to write. `release` is what was found
    for the release that `--against` names, and changes no exit code.
    """

    revision: Revision | None
    operations: tuple[str, ...]
    losses: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    unsafe: tuple[UnsafePattern, ...] = ()
    todos: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    schema_file: SchemaFile | None = None
    left_out: tuple[str, ...] = ()
    release: ReleaseCheck | None = None

    @property
    def exit_code(self) -> ExitCode:
        open_ends = self.todos or self.unproven or self.left_out
        return ExitCode.DIFFERENT if open_ends else ExitCode.DONE


class MigrationRebased(Result):
    """The revision that now follows `onto` instead of what it followed before.

    `unasked` says why the database could not be asked whether it has the branch, if it could not.
    """

    revision: Revision
    onto: str
    unasked: str | None = None
