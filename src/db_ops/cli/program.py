"""The program behind `db-ops`, `python scripts/manage_db.py` and `python -m db_ops`."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import db_ops
from db_ops.cli.arguments import CommandLine, split_commands
from db_ops.cli.declaration import (
    COMMON_OPTIONS,
    HELP,
    PROGRAM_OPTIONS,
    Command,
    Kind,
    Option,
    Options,
)
from db_ops.cli.execution import CommonOptions, execute, output_of, show_failure
from db_ops.cli.log import log_form
from db_ops.cli.terminal import OutputOptions, discard_output, open_closed_streams, options, write
from db_ops.errors import DbOpsError, ExitCode
from db_ops.errors.invocation import Invocation, invocation
from db_ops.frozen_data import replace

if TYPE_CHECKING:
    from db_ops.cli.parsers import Parser

_COMPLETE = "--complete"


def main() -> NoReturn:
    """Run the command line of this process and exit."""
    # Nearly all that a command allocates lives as long as the process. To look through it for
    # garbage, while modules are imported and again at the end, is an eighth of a command's time.
    gc.set_threshold(70_000)
    atexit.register(gc.freeze)
    open_closed_streams()
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run a command line and return its exit code."""
    program = _program()
    invocation.set(Invocation(program))
    try:
        if arguments[:1] == [_COMPLETE]:
            from db_ops.cli.completion import completion_candidates

            return _print("\n".join(completion_candidates(arguments[1:])))
        line = split_commands(arguments)
        text = _command_help(line)
        common = {} if text else _common_values(line.common)
        text = text or _informational_text(line, common, program)
        if text is not None:
            return _print(text)
        # What is wrong with the last command is said before the first one runs.
        commands = [(command, _command_values(command, words)) for command, words in line.commands]
    except DbOpsError as error:
        options.set(OutputOptions(json="--json" in arguments or "-j" in arguments))
        with suppress(DbOpsError):
            options.set(replace(options.get(), log=log_form()))
        show_failure(error)
        return int(error.exit_code)
    except BrokenPipeError:
        # Nobody reads the output any more, as in `... | head`.
        discard_output(sys.stdout)
        return int(ExitCode.FAILED)
    return _run(commands, common, program)


def _common_values(words: list[str]) -> Options:
    return _values((*PROGRAM_OPTIONS, *COMMON_OPTIONS), words, _program_parser)


def _command_values(command: Command, words: list[str]) -> Options:
    return _values(command.all_options, words, lambda: _command_parser(command))


def _program_parser() -> Parser:
    # argparse, gettext and the texts of all helps: where nothing is to be parsed, not needed.
    from db_ops.cli.parsers import program_parser

    return program_parser()


def _command_parser(command: Command) -> Parser:
    from db_ops.cli.parsers import command_parser

    return command_parser(command)


def _values(options: tuple[Option, ...], words: list[str], parser: Callable[[], Parser]) -> Options:
    """Return the values of *options* by parameter; where none is given, without a parser."""
    if words or any(one.kind is Kind.POSITIONAL for one in options):
        return vars(parser().parse_args(words))
    absent: dict[Kind, Any] = {Kind.FLAG: False, Kind.VALUE: None, Kind.LIST: []}
    return {one.parameter: absent[one.kind] for one in options}


def _command_help(line: CommandLine) -> str | None:
    for command, words in line.commands:
        if HELP.flags[-1] in takewhile(lambda word: word != "--", words):
            return _command_parser(command).format_help()
    return None


def _informational_text(line: CommandLine, common: Options, program: str) -> str | None:
    """Return what is to be printed instead of running a command: help, the version, a script."""
    if common["version"]:
        return f"db-ops {db_ops.__version__}"
    if common["print_completion_script"] is not None:
        from db_ops.cli.completion import completion_script

        return completion_script(common["print_completion_script"], program)
    asks = common["help"] or common["list"] or not line.commands
    return _program_parser().format_help() if asks else None


def _run(commands: list[tuple[Command, Options]], common: Options, program: str) -> int:
    """Run the commands in the order written, until one fails."""
    given = CommonOptions(common["config"], common["name"], tuple(common["x"]), common["app"])
    invocation.set(Invocation(program, _common_arguments(given)))
    for command, found in commands:
        both = {
            one.parameter: common[one.parameter] or found[one.parameter] for one in COMMON_OPTIONS
        }
        read = partial(_command_options, command, found)
        code = execute(command, read, output=output_of(both), given=given)
        if code:
            return code
    return int(ExitCode.DONE)


def _command_options(command: Command, found: Options) -> Options:
    return {one.parameter: found[one.parameter] for one in command.options}


def _print(text: str) -> int:
    write(text.rstrip("\n"))
    return int(ExitCode.DONE)


def _program() -> str:
    """Return how this program was called, as it is typed."""
    path = Path(sys.argv[0])
    if path.name == "__main__.py":
        return "python -m db_ops"
    if path.suffix != ".py":
        return "db-ops"
    from shlex import quote

    return f"python {quote(sys.argv[0])}"


def _common_arguments(given: CommonOptions) -> tuple[str, ...]:
    """Return the options for every command of a line as they are typed."""
    typed: list[str] = []
    if given.alembic_ini is not None:
        typed += ["--config", given.alembic_ini]
    if given.section is not None:
        typed += ["--name", given.section]
    if given.flask_app is not None:
        typed += ["--app", given.flask_app]
    for argument in given.x:
        typed += ["-x", argument]
    return tuple(typed)
