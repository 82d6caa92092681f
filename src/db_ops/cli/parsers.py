"""The `argparse` parsers of the program and of each command."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NoReturn

from db_ops.cli.commands import COMMANDS
from db_ops.cli.declaration import COMMON_OPTIONS, HELP, PROGRAM_OPTIONS, Command, Kind, Option
from db_ops.errors import UsageError
from db_ops.errors.invocation import invocation

_ABOUT = """\
One command for every moment in the life of a service's PostgreSQL database.
Several commands on one line run in the order in which they are written."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are `UsageError`."""

    said_of: str = ""
    # Composed for who reads it.
    about: Callable[[], str] | None = None

    def format_help(self) -> str:
        if self.about is not None:
            self.description = self.about()
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        raise _misuse(self.said_of, message)


class _Once(argparse.Action):
    """Keep one value, and refuse a second one."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        if getattr(namespace, self.dest) is not None:
            raise argparse.ArgumentError(self, "given more than once; it takes one value")
        setattr(namespace, self.dest, values)


def program_parser() -> Parser:
    """Return the parser of what stands before the first command, or is for the whole line."""
    name = _program()
    parser = Parser(
        prog=name,
        usage=f"{name} [options] command [options] [command [options] ...]",
        epilog=f"For the options of a command: {name} COMMAND --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    parser.about = commands_by_purpose
    _add(parser.add_argument_group("Options for all commands of the line"), PROGRAM_OPTIONS)
    _add(
        parser.add_argument_group("Options of each command; before the first one, for all"),
        COMMON_OPTIONS,
    )
    return parser


def command_parser(command: Command) -> Parser:
    """Return the parser of what belongs to *command*."""
    parser = Parser(
        prog=f"{_program()}{'' if invocation.get().prefix else ' '}{command.name}",
        description=f"{command.summary} {command.details}".strip(),
        add_help=False,
        allow_abbrev=False,
    )
    parser.said_of = command.name
    _add(parser, (*command.all_options, HELP))
    return parser


def _program() -> str:
    now = invocation.get()
    return f"{now.program} {now.prefix}".rstrip()


def _add(to: argparse._ActionsContainer, options: Iterable[Option]) -> None:
    for option in options:
        if option.kind is Kind.POSITIONAL:
            to.add_argument(
                option.parameter,
                metavar=option.metavar,
                help=option.help,
                choices=option.choices or None,
            )
        elif option.kind is Kind.FLAG:
            to.add_argument(
                *option.flags, dest=option.parameter, action="store_true", help=option.help
            )
        elif option.kind is Kind.LIST:
            to.add_argument(
                *option.flags,
                dest=option.parameter,
                action="append",
                default=[],
                metavar=option.metavar,
                help=option.help,
            )
        else:
            to.add_argument(
                *option.flags,
                dest=option.parameter,
                action=_Once,
                metavar=option.metavar,
                help=option.help,
            )


def commands_by_purpose() -> str:
    """Return the commands as the help of the program lists them, and what the program is for."""
    groups = (
        "\n".join((f"{purpose}:", *_rows(commands)))
        for purpose, commands in groupby(COMMANDS, key=lambda command: command.purpose)
    )
    return "\n\n".join((_ABOUT, *groups))


def _rows(commands: Iterable[Command]) -> Iterator[str]:
    prefix = invocation.get().prefix
    width = max(len(command.name) for command in COMMANDS) + len(prefix) + 5
    for command in commands:
        left = f"  {prefix}{command.name}".ljust(width)
        yield from textwrap.wrap(
            command.summary, 79, initial_indent=left, subsequent_indent=" " * width
        )


def _misuse(command: str, message: str) -> UsageError:
    message = message.removeprefix("argument ")
    said = f"{command}: {message}" if command else message
    typed = f"{command} --help" if command else "--help"
    return UsageError(said, f"see the options: db-ops {typed}")
