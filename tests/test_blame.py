"""What is wrong in the project's own files is told with its file, its line and its statement."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.foreign import KINDS, copy_project
from tests.support.launcher import Launcher
from tests.support.project import Project

FAILED = 1


@pytest.mark.parametrize(
    ("source", "line", "said"),
    [
        ("import sqlalchemy\n\nname: Strng = 1\n", 3, "NameError: name 'Strng' is not defined"),
        ("x = 1\ndef broken(:\n", 2, "invalid syntax"),
        ("import os\nimport no_such_package\n", 2, "No module named 'no_such_package'"),
        ("import sys\nsys.exit('settings are missing')\n", 2, "SystemExit: settings are missing"),
        ("assert 1 == 2\n", 1, "AssertionError"),
        ("raise ValueError('first:\\nsecond\\nthird')\n", 1, "ValueError: first: second"),
        (
            "import warnings\nwarnings.simplefilter('error')\nwarnings.warn('old name')\n",
            3,
            "UserWarning: old name",
        ),
        (
            "raise ExceptionGroup('settings', [KeyError('HOST'), ValueError('PORT')])\n",
            1,
            "ExceptionGroup: settings: KeyError: 'HOST'; ValueError: PORT",
        ),
        ("import asyncio\nraise asyncio.CancelledError\n", 2, "CancelledError"),
        (
            "raise ValueError('cannot use postgresql://u:hun@ter2@db/app password=\"hunter3\"')\n",
            1,
            "postgresql://***@db/app",
        ),
    ],
)
def test_a_mistake_in_the_models_is_told_with_their_file_and_line(
    project: Project, source: str, line: int, said: str
) -> None:
    project.table("0001", "one")
    (project.root / "models.py").write_text(source)
    outcome = project.run("recreate").failed(FAILED)
    assert outcome.error.startswith(f"models.py:{line}: does not run: ")
    assert said in outcome.error
    assert outcome.hint.startswith("correct models.py")
    assert "  imported by alembic/env.py:" in outcome.err
    assert "ter2" not in outcome.err
    assert "hunter3" not in outcome.err


def failing(project: Project, body: str, direction: str = "upgrade") -> Path:
    """Write revision 0004 anew, with *body* in its upgrade or its downgrade."""
    bodies = {"upgrade": "pass", "downgrade": "pass", direction: body}
    return project.revision("0004", **bodies, down_revision="0003")


STATEMENTS = [
    (
        "op.execute('''\n-- a comment\nUPDATE one\nSET nme = 1''')",
        'column "nme" of relation "one" does not exist',
        ["SQL: UPDATE one ...", "LINE 4:     SET nme = 1", "                ^"],
    ),
    (
        "op.execute('INSERT INTO one VALUES (1), (1)')",
        "duplicate key value violates unique constraint",
        ["DETAIL: Key (id)=(1) already exists.", "SQL: INSERT INTO one VALUES (1), (1)"],
    ),
    (
        "op.execute('SELECT idd FROM one')",
        'column "idd" does not exist',
        [
            'HINT: Perhaps you meant to reference the column "one.id".',
            "LINE 1: SELECT idd FROM one",
        ],
    ),
    (
        "op.execute('''DO $$\nBEGIN\n  PERFORM 1/0;\nEND $$''')",
        "division by zero",
        ['CONTEXT: SQL statement "SELECT 1/0"', "  PL/pgSQL function inline_code_block line 3"],
    ),
    (
        "op.execute(\"DO $$ BEGIN RAISE EXCEPTION E'first\\\\nsecond' "
        "USING HINT = 'ask'; END $$\")",
        "failed: first",
        ["second", "HINT: ask"],
    ),
    (
        "kind = sa.Enum('a', name='e', validate_strings=True)\n"
        "op.bulk_insert(sa.table('one', sa.column('id', kind)), [{'id': 'b'}])",
        "LookupError: 'b' is not among the defined enum values",
        ["SQL: INSERT INTO one (id) VALUES"],
    ),
    (
        "with op.batch_alter_table('one') as batch:\n    batch.drop_column('nothing')",
        'column "nothing" of relation "one" does not exist',
        ["SQL: ALTER TABLE one DROP COLUMN nothing"],
    ),
    (
        "from sqlalchemy.orm import Session\n"
        "Session(op.get_bind()).execute(sa.text('SELECT * FROM nowhere WHERE a = :a'), {'a': 1})",
        'relation "nowhere" does not exist',
        ["SQL: SELECT * FROM nowhere", "LINE 1: SELECT * FROM nowhere WHERE a = 1"],
    ),
    (
        "cursor = op.get_bind().connection.cursor()\ncursor.execute('SELECT * FROM nowhere')",
        'relation "nowhere" does not exist',
        ["SQL: SELECT * FROM nowhere"],
    ),
    (
        "op.execute('SELECT ' + '1, ' * 3000 + 'nme')",
        'column "nme" does not exist',
        ["LINE 1: ..."],
    ),
    (
        "try:\n    op.execute('SELECT nme')\nexcept Exception:\n    pass\nop.execute('SELECT 1')",
        "current transaction is aborted",
        ["SQL: SELECT 1"],
    ),
    ("import sys\nsys.exit(3)", "SystemExit: 3", ["sys.exit(3)"]),
    ("assert op.get_bind() is None", "AssertionError", ["assert op.get_bind() is None"]),
    ("op.execute(\"SELECT ':missing'\")", "bind parameter 'missing'", ["SQL: SELECT"]),
    ("import missing_helpers", "No module named 'missing_helpers'", ["import missing_helpers"]),
    (
        "op.execute(\"ALTER ROLE nobody_at_all PASSWORD 'hunter2'\")",
        'role "nobody_at_all" does not exist',
        ["SQL: ALTER ROLE nobody_at_all PASSWORD '***'"],
    ),
]


def test_a_failed_revision_shows_its_line_its_statement_and_all_that_the_server_said(
    migrated: Project,
) -> None:
    for direction in ("upgrade", "downgrade"):
        for body, said, notes in STATEMENTS if direction == "upgrade" else STATEMENTS[1:3]:
            path = failing(migrated, body, direction)
            outcome = migrated.run(direction).failed(FAILED)
            place = f"alembic/versions/0004.py:{line_of(path, body)}: "
            assert outcome.error.startswith(f"{place}{direction} of 0004 failed: "), outcome.err
            assert said in outcome.error
            for note in notes:
                assert note in outcome.err, outcome.err
            assert "hunter2" not in outcome.err
            assert max(map(len, outcome.err.splitlines())) < 600
        failing(migrated, "pass")
        migrated.run("upgrade").succeeded()


def line_of(path: Path, body: str) -> int:
    """Return the line of *path* that the last statement of *body* begins at."""
    import ast

    (last,) = ast.parse(body).body[-1:]
    first = ast.parse(body).body[0]
    at = path.read_text().splitlines().index("    " + body.splitlines()[0])
    return at + 1 + last.lineno - first.lineno


@pytest.mark.parametrize(
    ("models", "line", "said"),
    [
        (
            'sa.Table("four", Base.metadata,\n    sa.Column("id", sa.ForeignKey("gone.id")))',
            16,
            "four.id refers to table 'gone', which no imported module defines",
        ),
        (
            "class Four(Base):\n    __tablename__ = 'four'\n"
            "    id: Mapped[int] = mapped_column(sa.ForeignKey('gone.id'), primary_key=True)",
            17,
            "four.id refers to table 'gone', which no imported module defines",
        ),
        (
            "class Four(Base):\n    __tablename__ = 'four'\n"
            "    id: Mapped[int] = mapped_column(primary_key=True)\n"
            "    gone: Mapped['Gone'] = sa.orm.relationship()\n"
            "sa.orm.configure_mappers()",
            19,
            "InvalidRequestError: When initializing mapper Mapper[Four(four)]",
        ),
    ],
)
def test_models_that_sqlalchemy_cannot_build_are_told_with_the_line_that_declares_them(
    migrated: Project, models: str, line: int, said: str
) -> None:
    migrated.models(models)
    path = migrated.root / "models.py"
    path.write_text(
        path.read_text().replace(
            "import sqlalchemy as sa", "import sqlalchemy.orm, sqlalchemy as sa"
        )
    )
    outcome = migrated.run("create-migration", "-m", "x").failed(FAILED)
    assert outcome.error.startswith(f"models.py:{line}: "), outcome.err
    assert said in outcome.error
    outcome = migrated.run("verify")
    assert f"models.py:{line}: " in outcome.out + outcome.err


@pytest.mark.parametrize("name", ["coroutines", "async_psycopg", "ini_url"])
def test_a_failed_revision_of_another_driver_is_told_as_fully(
    tmp_path: Path, new_database_url: str, name: str, launcher: Launcher
) -> None:
    kind = next(one for one in KINDS if one.name == name)
    project = copy_project(kind, tmp_path / "project", new_database_url, launcher)
    project.edit(
        "alembic/versions/0002_create_books.py",
        "def upgrade():\n",
        "def upgrade():\n    op.execute(\"INSERT INTO shelves VALUES (7, 'a'), (7, 'a')\")\n",
    )
    outcome = project.run("init").failed(FAILED)
    place = "alembic/versions/0002_create_books.py:13: upgrade of 0002 failed: duplicate key value"
    assert outcome.error.startswith(place), outcome.err
    assert "  SQL: INSERT INTO shelves VALUES (7, 'a'), (7, 'a')" in outcome.err
    assert "  DETAIL: Key (id)=(7) already exists." in outcome.err


@pytest.mark.parametrize("raised", ["error from error", "RuntimeError('again') from error"])
def test_an_error_that_is_its_own_cause_is_told(migrated: Project, raised: str) -> None:
    body = f"""
        try:
            op.execute("SELECT 1/0")
        except Exception as error:
            error.__context__ = LookupError("of a plugin")
            error.__context__.__context__ = error
            raise {raised}
    """
    path = failing(migrated, body)
    outcome = migrated.run("upgrade").failed(FAILED)
    assert outcome.error.startswith(f"{path.relative_to(migrated.root)}:")
    assert migrated.tables == ["alembic_version", "one", "three", "two"]
    assert migrated.run("recreate").failed(FAILED).error
