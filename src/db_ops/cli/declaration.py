"""Commands and options as data, from which Invoke tasks and parsers are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from db_ops.frozen_data import FrozenData
from db_ops.results import OnEvent, Result


class Kind(Enum):
    """What follows an option on the command line."""

    FLAG = "nothing"
    VALUE = "one value, and the option once"
    LIST = "one value, and the option any number of times"
    POSITIONAL = "it is a value without an option"


class Option(FrozenData):
    """One option; `help` is a sentence for somebody who has never seen the command.

    The value of a `bare` one may stand without its name, as it does elsewhere. A positional one
    with `choices` makes commands of two words: under Invoke, each is a task.
    """

    name: str
    help: str
    letter: str | None = None
    kind: Kind = Kind.FLAG
    metavar: str = ""
    bare: bool = False
    choices: tuple[str, ...] = ()

    @property
    def parameter(self) -> str:
        return self.name.replace("-", "_")

    @property
    def takes_value(self) -> bool:
        return self.kind in (Kind.VALUE, Kind.LIST)

    @property
    def flags(self) -> tuple[str, ...]:
        """Return what is typed for it, the short form first; nothing for a positional."""
        if self.kind is Kind.POSITIONAL:
            return ()
        long = (f"--{self.name}",) if len(self.name) > 1 else (f"-{self.name}",)
        return (f"-{self.letter}", *long) if self.letter else long


Options = Mapping[str, Any]
# Runs a command: what reads the settings, its options by parameter, who is told of events.
Body = Callable[[Callable[..., Any], Options, OnEvent], Result]


class Command(FrozenData):
    """One command.

    `shows` is the command line that shows what this one would do, for a command that writes;
    `writes_with` are the options without which it only looks, `looks_with` those with which it
    does; so it does with the choices in `looks_at`. One that `hands_over` the terminal runs another
    program on it. `body` is for what is more than a call of the function of that name.
    """

    name: str
    purpose: str
    summary: str
    details: str = ""
    options: tuple[Option, ...] = ()
    shows: str | None = None
    writes_with: tuple[str, ...] = ()
    looks_with: tuple[str, ...] = ()
    looks_at: tuple[str, ...] = ()
    hands_over: bool = False
    body: Body | None = None

    @property
    def all_options(self) -> tuple[Option, ...]:
        return (*self.options, *COMMON_OPTIONS)

    @property
    def positionals(self) -> tuple[Option, ...]:
        return tuple(one for one in self.options if one.kind is Kind.POSITIONAL)

    def writes(self, options: Options) -> bool:
        """Tell whether the command, given these options, changes anything."""
        given = {name for name, value in options.items() if value not in (None, False, [])}
        if self.shows is None or given & set(self.looks_with):
            return False
        if self.looks_at and any(
            options.get(one.parameter) in self.looks_at for one in self.positionals
        ):
            return False
        return not self.writes_with or bool(given & set(self.writes_with))


COMMON_OPTIONS = (
    Option("json", "Print the result as one JSON document on stdout.", "j"),
    Option("quiet", "Print no progress, only requested output and errors.", "q"),
    Option("verbose", "Print every detail, and the time of each step.", "v"),
)
CONFIG = Option(
    "config",
    "The project's alembic.ini, as with `alembic -c` (default: the one in this directory or the"
    " nearest one above).",
    "c",
    Kind.VALUE,
    "FILE",
)
NAME = Option(
    "name",
    "The section of alembic.ini to use, as with `alembic -n`.",
    kind=Kind.VALUE,
    metavar="SECTION",
)
X = Option(
    "x",
    "An argument for env.py, as with `alembic -x`. Can be given several times.",
    kind=Kind.LIST,
    metavar="NAME=VALUE",
)
APP = Option(
    "app",
    "The Flask application, as with `flask --app` (default: FLASK_APP, wsgi.py or app.py).",
    kind=Kind.VALUE,
    metavar="APP",
)
HELP = Option("help", "Show this help.", "h")
VERSION = Option("version", "Show the version.", "V")
LIST = Option("list", "Show the commands.", "l")
COMPLETION = Option(
    "print-completion-script",
    "Print the script that lets this shell (bash, zsh or fish) complete commands and options.",
    kind=Kind.VALUE,
    metavar="SHELL",
)
# Wherever they stand, they are for all commands of the line.
LINE_OPTIONS = (CONFIG, NAME, X, APP)
PROGRAM_OPTIONS = (*LINE_OPTIONS, HELP, VERSION, LIST, COMPLETION)
