"""The program behind `python scripts/manage_db.py` and `db-ops`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from invoke.exceptions import Exit, ParseError
from invoke.parser.argument import Argument
from invoke.program import Program

import db_ops
from db_ops.bytecode import keep_bytecode
from db_ops.cli.commands import collection
from db_ops.cli.speaking import show_error
from db_ops.cli.terminal import Options, options
from db_ops.errors import UsageError

_OFFERED = ("complete", "help", "list", "print-completion-script", "version")


class DatabaseProgram(Program):
    """Invoke's program without the options that mean nothing for a database."""

    def core_args(self) -> list[Argument]:
        offered = [argument for argument in super().core_args() if argument.name in _OFFERED]
        return [
            *offered,
            Argument(name="name", help="The section of alembic.ini that is meant."),
            Argument(name="x", kind=list, help="An argument for env.py, as in -x tenant=one."),
        ]

    @property
    def args(self) -> Any:
        # Invoke reads all of its options; those not offered here are at their defaults.
        given = super().args
        for argument in super().core_args():
            given.setdefault(argument.name, argument)
        return given

    def parse_core(self, argv: list[str] | None) -> None:
        with _misuse_explained():
            super().parse_core(argv)
        keep_bytecode()

    def parse_tasks(self) -> None:
        with _misuse_explained():
            super().parse_tasks()

    def parse_cleanup(self) -> None:
        with _misuse_explained():
            super().parse_cleanup()
        # Where every door's settings come from.
        for name in ("name", "x"):
            value = self.args[name].value
            if value:
                os.environ[f"DB_OPS_{name.upper()}"] = value if name == "name" else " ".join(value)


@contextmanager
def _misuse_explained() -> Iterator[None]:
    try:
        yield
    except ParseError as error:
        command = f"{error.context.name} " if error.context and error.context.name else ""
        usage = UsageError(str(error), f"see the options: inv db.{command}--help")
        options.set(Options(json="--json" in sys.argv))
        show_error(usage)
        raise Exit(code=usage.exit_code) from None


def main() -> None:
    """Run the command line of this process and exit."""
    program = DatabaseProgram(version=db_ops.__version__, namespace=collection, name="db-ops")
    program.run()
