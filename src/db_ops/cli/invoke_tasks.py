"""The commands as Invoke tasks, for `inv`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import fill
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.parser.argument import Argument
from invoke.tasks import Task

from db_ops.cli.commands import COMMANDS
from db_ops.cli.declaration import Command, Kind, Option, Options
from db_ops.cli.execution import CommonOptions, execute, output_of, show_failure
from db_ops.cli.parsers import command_parser, commands_by_purpose
from db_ops.cli.terminal import write
from db_ops.errors import DbOpsError, UsageError
from db_ops.errors.invocation import Invocation, invocation
from db_ops.frozen_data import replace

# Options of Invoke's own that say where the tasks are; without them it would not find ours again.
_FINDS_TASKS = re.compile(r"(-[cr]|--collection|--search-root|--config)(=.*)?\Z|-f\Z")
_LIKE_AN_OPTION = re.compile(r"--?[A-Za-z]")


class CommandTask(Task[Any]):
    """An Invoke task for one command; it exits with the code of the command.

    With a *choice*, it is for that one of the command's positional value.
    """

    def __init__(self, command: Command, choice: str = "") -> None:
        def body(context: Context) -> None:
            """Stand for the command: what runs is in `__call__`."""

        body.__doc__ = f"{command.summary}\n\n{fill(command.details, 76)}".strip()
        super().__init__(body, name=choice or command.name, positional=())
        self.command = command
        self.choice = choice

    def __eq__(self, other: object) -> bool:
        # Invoke merges equal calls of one command line. Ours run each time they are named:
        # `init delete-db init` is three commands.
        return False

    __hash__ = Task.__hash__

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        chosen = self.command.positionals if self.choice else ()
        return [_Argument(option) for option in self.command.all_options if option not in chosen]

    def __call__(self, context: Context, **given: Any) -> None:
        if self.choice:
            given |= {option.parameter: self.choice for option in self.command.positionals}
        invocation.set(_invocation(self.command.name, self.choice))
        if any(value in ("-h", "--help") for value in _values(given)):
            # Invoke takes whatever follows an option, or stands for a positional, for its value.
            _print(command_parser(self.command).format_help().rstrip())
            return
        # Invoke forbids to keep compiled code, for the sake of `tasks.py`; but not every installer
        # compiles what it installs, and compiling SQLAlchemy takes longer than most commands.
        forbidden = sys.dont_write_bytecode
        sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)
        try:
            code = execute(
                self.command,
                lambda: self._options(context, given),
                output=output_of(given),
                given=CommonOptions(),
            )
        finally:
            sys.dont_write_bytecode = forbidden
        if code:
            raise Exit(code=code)

    def _options(self, context: Context, given: dict[str, Any]) -> Options:
        """Return the options by parameter. Raises `UsageError`."""
        read = {option.parameter: self._value(option, given) for option in self.command.options}
        if context.config.run.dry and self.command.writes(read):
            raise UsageError(
                f"{self.command.name} refused: Invoke was asked for a dry run, which has no effect"
                " on this command",
                f"see what there is to do: db-ops {self.command.shows}",
            )
        return read

    def _value(self, option: Option, given: dict[str, Any]) -> Any:
        value = given.get(option.parameter)
        if option.kind is Kind.FLAG:
            return bool(value)
        several = value if isinstance(value, list) else [] if value is None else [value]
        for one in several:
            if _LIKE_AN_OPTION.match(one) and " " not in one:
                raise UsageError(
                    f"{self.command.name}: {one} is no option of it, and stands where"
                    f" {option.metavar} has to stand",
                    f"see the options: db-ops {self.command.name} --help",
                )
        if option.kind is Kind.LIST:
            return several
        if len(several) > 1:
            raise UsageError(
                f"{self.command.name}: --{option.name} is given {len(several)} times",
                "leave all but one of them out",
            )
        return several[0] if several else None


class _Argument(Argument):
    """An option as Invoke's parser takes it.

    What takes one value is a list here, so that a second one is seen and refused; unlike a list of
    Invoke's, it is not given without a value.
    """

    def __init__(self, option: Option) -> None:
        names = (option.name, option.letter) if option.letter else (option.name,)
        kinds: dict[Kind, Any] = {Kind.FLAG: bool, Kind.POSITIONAL: str}
        said = f"{option.metavar}: {option.help}" if option.takes_value else option.help
        super().__init__(
            names=names,
            kind=kinds.get(option.kind, list),
            default=False if option.kind is Kind.FLAG else None,
            help=said,
            positional=option.kind is Kind.POSITIONAL,
            attr_name=option.parameter if "-" in option.name else None,
        )
        if option.takes_value:
            self.raw_value = None


def _print(text: str) -> None:
    try:
        write(text)
    except DbOpsError as error:
        show_failure(error)
        raise Exit(code=error.exit_code) from None


def _values(given: dict[str, Any]) -> Iterator[str]:
    for value in given.values():
        yield from value if isinstance(value, list) else [value] if isinstance(value, str) else []


def _invocation(command: str, choice: str = "") -> Invocation:
    """Return how Invoke was called for *command*: by what name, and where its tasks are."""
    typed = f"{command}.{choice}" if choice else command
    program = Path(sys.argv[0])
    arguments = sys.argv[1:]
    name = f"python -m {program.parent.name}" if program.name == "__main__.py" else program.name
    kept: list[str] = []
    for at, argument in enumerate(arguments):
        found = _FINDS_TASKS.match(argument)
        if found:
            kept += arguments[at : at + (1 if found[2] else 2)]
        if f".{argument}".endswith(f".{typed}"):
            return Invocation(name, tuple(kept), prefix=argument.removesuffix(typed))
    # Called by a task of the project's own.
    return Invocation(name if program.name in ("inv", "invoke") else "inv", prefix="db.")


def _help(context: Context) -> None:
    """Show the commands of this list by purpose."""
    # As the default task of the collection it is called by the collection's name alone.
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    typed = "db" if not words or "db" in words else words[-1]
    prefix = f"{typed.removesuffix('.help')}."
    now = replace(_invocation(typed.rpartition(".")[2]), prefix=prefix)
    invocation.set(now)
    shown = (now.program, *now.options, f"{now.prefix}COMMAND", "--help")
    _print(f"{commands_by_purpose()}\n\nFor the options of a command: {' '.join(shown)}")


def _choices(command: Command) -> Collection:
    """Return the tasks of a command of two words; its own name takes the second as a value."""
    (choices,) = [option.choices for option in command.positionals]
    found = Collection(command.name, *(CommandTask(command, choice) for choice in choices))
    found.add_task(CommandTask(command), name="run", default=True)
    return found


def _task(command: Command) -> Task[Any] | Collection:
    has_choices = any(option.choices for option in command.positionals)
    return _choices(command) if has_choices else CommandTask(command)


collection = Collection("db", *map(_task, COMMANDS))
# Invoke sorts what `inv --list` shows by name.
collection.add_task(Task(_help, name="help"), default=True)
