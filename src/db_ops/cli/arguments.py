"""Split a command line into commands: `[options] command [options] [command [options] ...]`.

Which words are values is known from the declaration, so that a value may be called like a command.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from db_ops.cli.commands import BY_NAME
from db_ops.cli.declaration import (
    COMMON_OPTIONS,
    HELP,
    LINE_OPTIONS,
    PROGRAM_OPTIONS,
    Command,
    Kind,
    Option,
)
from db_ops.cli.other_tools import ELSEWHERE, LISTING
from db_ops.errors import UsageError

# As argparse has it: a number below zero and a text with spaces are values.
_A_VALUE = r"(?s)(?!-)|-\Z|-\d|-.* "


class CommandLine:
    """The words of a command line: those for all of it, and those of each command."""

    def __init__(self) -> None:
        self.common: list[str] = []
        self.commands: list[tuple[Command, list[str]]] = []

    @property
    def command(self) -> Command | None:
        return self.commands[-1][0] if self.commands else None

    @property
    def options(self) -> tuple[Option, ...]:
        """Return the options that may come next; a command's own come first."""
        if self.command is None:
            return (*PROGRAM_OPTIONS, *COMMON_OPTIONS)
        return (*self.command.all_options, HELP, *LINE_OPTIONS)

    def keep(self, option: Option, *words: str) -> None:
        """Note *words* where *option* belongs: with its command, or with the whole line."""
        whole = self.command is None or option in LINE_OPTIONS
        (self.common if whole else self.commands[-1][1]).extend(words)


def split_commands(words: list[str]) -> CommandLine:
    """Split a command line into its commands. Raises `UsageError` for an unknown word."""
    line = CommandLine()
    rest = iter(words)
    missing = 0
    for word in rest:
        if word == "--" and line.command is not None:
            values = list(rest)
            line.commands[-1][1].extend(("--", *values))
        elif not re.match(_A_VALUE, word):
            _option(line, word, rest)
        elif missing:
            missing -= 1
            line.commands[-1][1].append(word)
        elif word in BY_NAME:
            line.commands.append((BY_NAME[word], []))
            missing = len(BY_NAME[word].positionals)
        elif option := _bare_option(line):
            line.keep(option, f"--{option.name}={_unsigned(word, option)}")
        else:
            raise _unknown_word(line, word)
    return line


def _bare_option(line: CommandLine) -> Option | None:
    """Return the option of the last command whose value may stand alone, and has not yet.

    Of one that is a list, any number of values may.
    """
    if line.command is None:
        return None
    bare = (one for one in line.command.options if one.bare)
    words = line.commands[-1][1]
    return next(
        (
            one
            for one in bare
            if one.kind is Kind.LIST or not any(word.split("=")[0] in one.flags for word in words)
        ),
        None,
    )


def _unsigned(word: str, option: Option) -> str:
    """Return `-1` without its sign where a number of steps is meant."""
    return word.removeprefix("-") if option.metavar == "N" else word


def _option(line: CommandLine, word: str, rest: Iterator[str]) -> None:
    for flag, value in _parts(line, word):
        option = next((one for one in line.options if flag in one.flags), None)
        if option is None:
            raise _unknown_option(line, flag)
        if option.takes_value and value is None:
            # Missing, it is left to argparse to say so.
            following = next(rest, None)
            if following is not None and not re.match(_A_VALUE, following):
                raise UsageError(
                    f"{_command_prefix(line)}{flag} lacks its value, {option.metavar};"
                    f" a value that begins with a dash is written {option.flags[-1]}={following}",
                    f"see the options: db-ops {_command_word(line)}--help",
                )
            value = following
        long = option.flags[-1]
        if value is None:
            line.keep(option, long)
        elif long.startswith("--"):
            line.keep(option, f"{long}={value}")
        else:
            line.keep(option, f"{long}{value}")


def _parts(line: CommandLine, word: str) -> Iterator[tuple[str, str | None]]:
    """Yield the options in one word, `--name=value` or letters, with the value in it."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        yield name, value if equals else None
        return
    letters = word[1:]
    while letters:
        flag, letters = f"-{letters[0]}", letters[1:]
        option = next((one for one in line.options if flag in one.flags), None)
        if option is not None and option.takes_value and letters:
            yield flag, letters.removeprefix("=")
            return
        yield flag, None


def _command_prefix(line: CommandLine) -> str:
    return f"{line.command.name}: " if line.command else ""


def _command_word(line: CommandLine) -> str:
    return f"{line.command.name} " if line.command else ""


def _unknown_word(line: CommandLine, word: str) -> UsageError:
    ours = ELSEWHERE.get(word.removeprefix("db."))
    if ours:
        problem = f"there is no command {word!r}"
        return UsageError(problem, f"this does what {word!r} does elsewhere: db-ops {ours}")
    listing = word in LISTING
    near = _near(word.removeprefix("db."), BY_NAME)
    if near and not listing:
        return UsageError(f"there is no command {word!r}", f"did you mean: db-ops {near[0]}")
    if listing or line.command is None:
        return UsageError(f"there is no command {word!r}", "see the commands: db-ops --help")
    return UsageError(
        f"{line.command.name}: {word!r} is neither one of its options nor a command",
        f"see the options: db-ops {line.command.name} --help",
    )


def _unknown_option(line: CommandLine, flag: str) -> UsageError:
    problem = f"{_command_prefix(line)}there is no option {flag}"
    # What says the opposite is no correction: not `--no-seed` for `--seed`.
    opposites = (f"no-{flag.lstrip('-')}", flag.lstrip("-").removeprefix("no-"))
    names = (option.name for option in line.options if option.name not in opposites)
    known = [name for name in names if len(name) > 1]
    near = _near(flag.lstrip("-"), known) if len(flag) > 2 else []
    if near:
        return UsageError(problem, f"did you mean: db-ops {_command_word(line)}--{near[0]}")
    owners = [
        command.name
        for command in BY_NAME.values()
        if any(flag in option.flags for option in command.options)
    ]
    if line.command is None and owners:
        of = " or ".join(owners[:2])
        return UsageError(
            f"{problem} before the first command; it is one of {of}",
            f"write it after the command: db-ops {owners[0]} {flag}",
        )
    return UsageError(problem, f"see the options: db-ops {_command_word(line)}--help")


def _near(word: str, known: Iterable[str]) -> list[str]:
    from difflib import get_close_matches

    return get_close_matches(word, list(known), n=1, cutoff=0.6)
