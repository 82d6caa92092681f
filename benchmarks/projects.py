"""A history written to disk: once with `db_ops`, and once for each tool that is to apply it too."""

from __future__ import annotations

import re
import shutil
import subprocess
import textwrap
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import alembic

from benchmarks.history import History, Revision, Table
from benchmarks.tools import BIN

_REVISION = '''"""{revision.summary}

Revision ID: {revision.id}
Revises: {revision.down}
Create Date: 2026-01-01 12:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = {revision.id!r}
down_revision: Union[str, Sequence[str], None] = {revision.down!r}
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
{upgrade}


def downgrade() -> None:
    """Downgrade schema."""
{downgrade}
'''
_MODELS = """import sqlalchemy as sa

metadata = sa.MetaData(naming_convention={"ck": "ck_%(table_name)s_%(constraint_name)s"})
"""
_FILES = {
    "alembic.ini": "[alembic]\nscript_location = %(here)s/alembic\n",
    "tasks.py": "from invoke.collection import Collection\n"
    "from db_ops.cli import collection as db\n"
    "namespace = Collection(db)\n",
    "bare.py": "import environs, psycopg2\n"
    "from invoke import Collection, task\n"
    "namespace = Collection(task(lambda context: None, name='nothing'))\n",
    "scripts/manage_db.py": "from db_ops.cli.program import main\nmain()\n",
    "alembic/env.py": "import sys\n"
    "from pathlib import Path\n"
    "sys.path.insert(0, str(Path(__file__).parents[1]))\n"
    "from models import metadata\n"
    "from db_ops import run_migrations\n"
    "\n"
    "run_migrations(metadata)\n",
}


@dataclass(frozen=True)
class Script:
    """What one revision executes, without its transaction and its record."""

    revision: Revision
    sql: str


@dataclass(frozen=True)
class Project:
    """A history in the folder *root*, with a subfolder for each tool.

    `db_ops` has the revision files and the models; the other Alembic projects link to them.
    """

    root: Path
    revisions: int
    tables: int

    @property
    def name(self) -> str:
        return f"{self.revisions}_{self.tables}"

    @property
    def ours(self) -> Path:
        return self.root / "db_ops"

    @property
    def versions(self) -> Path:
        return self.ours / "alembic" / "versions"

    @cached_property
    def history(self) -> History:
        return History(self.revisions, self.tables)

    def write(self) -> None:
        """Write the project as `db_ops` and Alembic read it."""
        self.versions.mkdir(parents=True)
        write_files(self.ours, _FILES | {"models.py": _models(self.history.tables)})
        template = Path(alembic.__file__).parent / "templates" / "generic" / "script.py.mako"
        shutil.copy(template, self.ours / "alembic")
        for number, revision in enumerate(self.history.revisions):
            text = _REVISION.format(
                revision=revision,
                upgrade=_body(revision.upgrade),
                downgrade=_body(revision.downgrade),
            )
            (self.versions / f"{revision.id}_{number:04}.py").write_text(text)

    def link(self, folder: Path, versions: Path) -> None:
        """Let another Alembic project in *folder* use these models and revision files."""
        (folder / "models.py").symlink_to(self.ours / "models.py")
        if versions.is_dir():
            versions.rmdir()
        versions.symlink_to(self.versions)

    @cached_property
    def scripts(self) -> tuple[Script, ...]:
        """What the revisions execute, as `alembic upgrade head --sql` says."""
        parts = re.split(r"^-- Running upgrade .*$", self.sql, flags=re.MULTILINE)[1:]
        own = re.compile(
            r"^(?:INSERT INTO|UPDATE) alembic_version .*?;$|^BEGIN;$|^COMMIT;$",
            re.MULTILINE | re.DOTALL,
        )
        return tuple(
            Script(revision, own.sub("", part).strip())
            for revision, part in zip(self.history.revisions, parts, strict=True)
        )

    @cached_property
    def sql(self) -> str:
        """All that the revisions execute, each in a transaction that records it, for psql."""
        command = [str(BIN / "alembic"), "upgrade", "head", "--sql"]
        done = subprocess.run(
            command, cwd=self.ours, capture_output=True, text=True, env={"PATH": str(BIN)}
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        return done.stdout


def write_files(root: Path, contents: dict[str, str]) -> None:
    """Write texts to files named relative to *root*, with the folders that they need."""
    for name, text in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _models(tables: list[Table]) -> str:
    return _MODELS + "".join(
        "\nsa.Table(\n"
        + textwrap.indent(
            ",\n".join(
                (
                    f'"{table.name}"',
                    "metadata",
                    *(f'sa.Column("{name}", {text})' for name, text in table.columns.items()),
                    *table.constraints,
                    *table.indexes,
                )
            ),
            "    ",
        )
        + ",\n)\n"
        for table in tables
    )


def _body(lines: tuple[str, ...]) -> str:
    return textwrap.indent("\n".join(lines), "    ")
