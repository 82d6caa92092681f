"""The table of exit codes, and which error has which."""

from __future__ import annotations

import re

from db_ops import errors
from db_ops.errors import DbOpsError, ExitCode
from tests.support.project import REPOSITORY


def all_errors() -> list[type[DbOpsError]]:
    return [getattr(errors, name) for name in errors.__all__ if name != "ExitCode"]


def test_every_error_has_a_documented_exit_code() -> None:
    assert {error.exit_code for error in all_errors()} <= set(ExitCode)


def test_every_exit_code_is_documented() -> None:
    table = (REPOSITORY / "docs" / "exit-codes.md").read_text()
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == {
        int(code) for code in ExitCode
    }


def test_every_error_says_what_happened_and_what_to_do() -> None:
    for error in all_errors():
        concrete = "what" in vars(error) or any("what" in vars(base) for base in error.__mro__)
        assert concrete or error.__subclasses__(), error


def test_errors_survive_pickling() -> None:
    import pickle

    error = errors.Refused(location="h/x", database="x", command="delete-db", reason="why")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert again.hint == error.hint


def test_an_error_s_text_is_never_taken_for_a_format() -> None:
    error = errors.RevisionFileBroken(path="a{b}.py", reason="{c!r} {")
    assert str(error) == "a{b}.py: does not import: {c!r} {"
