"""The line of the project's own files that raised an error, and the text of that error."""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from db_ops.errors.masking import mask_credentials
from db_ops.errors.tracebacks import chained_errors
from db_ops.frozen_data import FrozenData

_PACKAGE = Path(__file__).parents[2]
_FOREIGN = ("site-packages", "dist-packages")
_LONGEST = 300


class SourceLocation(FrozenData):
    """A line of a file and its code; no line where only the file is known."""

    path: Path
    line: int | None = None
    code: str = ""


def describe_failure(error: BaseException) -> str:
    """Say in one line what failed, without a password that it may hold."""
    if isinstance(error, SyntaxError):
        return mask_credentials(str(error.msg))
    if isinstance(error, BaseExceptionGroup):
        inner = "; ".join(describe_failure(one) for one in error.exceptions)
        return f"{type(error).__name__}: {mask_credentials(error.message)}: {inner}"[:_LONGEST]
    text = _text(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def source_locations(error: BaseException) -> tuple[SourceLocation, ...]:
    """Return the lines of the project's own files that led to *error*, the innermost last.

    Files of installed packages, of Python and of `db_ops` are nobody's own.
    """
    for one in chained_errors(error):
        found = list(_source_locations(one))
        if found:
            return tuple(found)
    return ()


def innermost_location(
    error: BaseException, folders: Iterable[Path] | None = None
) -> SourceLocation | None:
    """Return the last of the `source_locations`, or the last within *folders*."""
    found = source_locations(error)
    if folders is not None:
        inside = tuple(folders)
        found = tuple(
            one for one in found if any(one.path.is_relative_to(folder) for folder in inside)
        )
    return found[-1] if found else None


def truncate(text: str, longest: int = 160) -> str:
    """Return *text*, cut at *longest* characters."""
    return text if len(text) <= longest else text[: longest - 4].rstrip() + " ..."


def _text(error: BaseException) -> str:
    if isinstance(error, KeyError):
        # Its text is the key as Python would write it.
        return f"{mask_credentials(str(error))}" if error.args else ""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return ""
    text = lines[0]
    if text.endswith(":") and len(lines) > 1:
        # A heading alone says nothing.
        text = f"{text} {lines[1]}"
    return truncate(mask_credentials(text), _LONGEST)


def _source_locations(error: BaseException) -> Iterator[SourceLocation]:
    for frame in traceback.extract_tb(error.__traceback__):
        if is_project_file(frame.filename):
            yield source_location(frame.filename, frame.lineno)
    if isinstance(error, SyntaxError) and error.filename and is_project_file(error.filename):
        yield source_location(error.filename, error.lineno or None)


def source_location(filename: str, line: int | None) -> SourceLocation:
    """Return a line of a file with what stands there."""
    path = Path(filename).absolute()
    linecache.checkcache(filename)
    code = linecache.getline(filename, line).strip() if line else ""
    return SourceLocation(path, line, truncate(mask_credentials(code)))


def is_project_file(filename: str) -> bool:
    """Tell whether a file is the project's, and not Python's, a package's or ours."""
    path = Path(filename)
    if not path.suffix or filename.startswith("<"):
        return False
    path = path.absolute()
    if path.is_relative_to(_PACKAGE) or not set(path.parts).isdisjoint(_FOREIGN):
        return False
    return not any(path.is_relative_to(folder) for folder in _standard_library())


@cache
def _standard_library() -> tuple[Path, ...]:
    import sysconfig

    return tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib"))
