"""Ask on the terminal which columns and tables were renamed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from db_ops.cli.terminal import one_line, options, stop_moving
from db_ops.errors import RenameUndecided

if TYPE_CHECKING:
    from db_ops.results import MigrationCreated


def create_with_prompts(
    create: Callable[..., MigrationCreated],
    renames: tuple[str, ...],
    *,
    no_rename: bool,
) -> MigrationCreated:
    """Call *create* with *renames*, and again with the answers to what it has to ask.

    Without a terminal, or with `--json`, `RenameUndecided` is left to say what to answer.
    """
    refused: set[str] = set()
    while True:
        try:
            return create(rename=renames, no_rename=no_rename)
        except RenameUndecided as undecided:
            if options.get().json or not (sys.stdin.isatty() and sys.stderr.isatty()):
                raise
            pairs = zip(undecided.questions, undecided.flags, strict=True)
            asked = [(question, flag) for question, flag in pairs if flag not in refused]
        yes = next((flag for question, flag in asked if _ask(question)), None)
        if yes is None:
            no_rename = True
        else:
            refused |= {flag for _, flag in asked[: [flag for _, flag in asked].index(yes)]}
            renames = (*renames, yes)


def _ask(question: str) -> bool:
    stop_moving()
    while True:
        print(f"{one_line(question)} [y/n] ", end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline().strip().lower()
        if answer in ("y", "yes"):
            return True
        if answer in ("n", "no") or not answer:
            return False
