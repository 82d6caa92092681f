"""An option that is mistyped, or asks for help, is never taken for a name."""

from __future__ import annotations

from contextlib import closing

import psycopg2
import pytest

from db_ops.errors import UsageError
from db_ops.settings import DatabaseUrl
from tests.support.project import Project


@pytest.mark.parametrize("word", ["--help", "-h"])
@pytest.mark.parametrize("door", ["inv", "manage_db"])
def test_help_about_snapshots_takes_none(migrated: Project, door: str, word: str) -> None:
    parameters = DatabaseUrl.parse(migrated.url).parameters
    with closing(psycopg2.connect(**parameters)) as somebody:
        outcome = migrated.run("snapshot", word, door=door).succeeded()
        assert "Copy the database with its data" in outcome.out
        with somebody.cursor() as cursor:
            cursor.execute("SELECT 1")
    assert migrated.prepare("snapshots").snapshots == ()  # type: ignore[attr-defined]  # prepare() returns the result of any command


@pytest.mark.parametrize(
    "arguments",
    [
        ("snapshot", "--hlep"),
        ("snapshot", "-n"),
        ("restore", "--dry"),
        ("create-migration", "-m", "--rebas"),
        ("snapshots", "--drop", "--json"),
    ],
)
def test_a_mistyped_option_is_no_name(
    migrated: Project, door: str, arguments: tuple[str, ...]
) -> None:
    outcome = migrated.run(*arguments, door=door)
    assert outcome.code in (1, 2), outcome.out
    assert "Traceback" not in outcome.err
    assert migrated.prepare("snapshots").snapshots == ()  # type: ignore[attr-defined]  # as above
    assert len(migrated.revision_files) == 3


def test_help_in_the_place_of_a_value_is_help_under_inv(migrated: Project) -> None:
    outcome = migrated.run("create-migration", "-m", "--help", door="inv").succeeded()
    assert "Write one migration file" in outcome.out
    assert len(migrated.revision_files) == 3


def test_the_function_refuses_a_name_that_begins_with_a_dash(migrated: Project) -> None:
    with pytest.raises(UsageError, match="begins with a dash"):
        migrated.prepare("snapshot", "--confirm")
