"""Projects that have never heard of `db_ops`, as they lie in `tests/projects`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.support.doors import Outcome
from tests.support.launcher import Launcher
from tests.support.project import ALEMBIC, REPOSITORY

PROJECTS = REPOSITORY / "tests" / "projects"
# What stands in the files of a project for its own database.
_WRITTEN = "postgresql+psycopg2://app:secret@localhost:5432/app"
_NEXT_COLUMN = "# the next column goes here"


@dataclass(frozen=True)
class Kind:
    """A project, and what is special about it for who uses it.

    `variable` is the one that it reads its URL from, `scheme` how it is spelt there. `environment`
    are other variables it needs. `options` are given with every command, `branch` where there are
    several. `models` is the file that a column is added to, `agreed` what `verify` says in the end.
    `writes` is False where `create-migration` asks for Alembic's own command.
    """

    name: str
    variable: str | None = None
    scheme: str = "postgresql"
    environment: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    branch: tuple[str, ...] = ()
    models: str = "models.py"
    column: str = "pages: Mapped[int | None]"
    heads: tuple[str, ...] = ("0002",)
    agreed: str = "agree"
    writes: bool = True


KINDS = (
    Kind("ini_url"),
    Kind("async_asyncpg", "SHOP_DATABASE_URL", "postgresql+asyncpg"),
    Kind("async_psycopg", "LIBRARY_DSN"),
    Kind("worker_thread", "SHOP_DATABASE_URL", "postgresql+asyncpg"),
    Kind("coroutines", "SHOP_DATABASE_URL", "postgresql+asyncpg"),
    Kind("settings_object", models="src/library/models.py"),
    Kind("url_env", "BOOKS_URL"),
    Kind("url_from"),
    *(
        [Kind("pyproject_only", "LIBRARY_DATABASE_URL", "postgresql+psycopg2")]
        if ALEMBIC >= (1, 16)
        else []
    ),
    Kind("branches", branch=("--branch", "sales"), heads=("0001", "0002")),
    Kind("locations_in_env"),
    Kind("version_table_schema"),
    Kind("several_version_tables", agreed="the catalogs are as they were recorded", writes=False),
    Kind("include_schemas"),
    Kind("ini_sections"),
    Kind(
        "ini_sections",
        options=("--name", "billing"),
        models="billing_models.py",
        heads=("b002",),
    ),
    Kind("x_argument", options=("-x", "tenant=north")),
    Kind(
        "flask_migrate",
        "SQLALCHEMY_DATABASE_URI",
        "postgresql+psycopg2",
        models="app.py",
        column="pages = db.Column(db.Integer)",
    ),
    Kind("own_lock"),
    Kind("empties_directives"),
)


@dataclass
class ForeignProject:
    """A copy of one, with the test's database in the place of its own."""

    kind: Kind
    root: Path
    url: str
    env: dict[str, str]
    launcher: Launcher

    def run(self, *arguments: str, cwd: Path | None = None, **env: str) -> Outcome:
        """Type `python -m db_ops` in the project's folder."""
        outcome = self.launcher.run(
            self.root,
            {**self.env, **env},
            *self.kind.options,
            *arguments,
            door="module",
            cwd=cwd,
        )
        self._check_secrecy(outcome)
        return outcome

    def alembic(self, *arguments: str) -> Outcome:
        """Type `alembic`, as the project's people do."""
        options = (*self.kind.options, *arguments)
        return self.launcher.run(self.root, self.env, *options, door="alembic")

    def change_model(self) -> None:
        """Add a column to the model of a book."""
        self.edit(self.kind.models, _NEXT_COLUMN, self.kind.column)

    def edit(self, path: str, before: str, after: str) -> None:
        """Replace text in a file."""
        file = self.root / path
        text = file.read_text()
        assert before in text
        file.write_text(text.replace(before, after))

    def _check_secrecy(self, outcome: Outcome) -> None:
        password = urlsplit(self.url).password or ""
        for secret in (password, unquote(password), password.replace("%", "%%")):
            assert secret not in outcome.out + outcome.err
        for file in self.root.rglob(".db_ops/*.json"):
            assert password not in file.read_text()


def copy_project(kind: Kind, root: Path, url: str, launcher: Launcher) -> ForeignProject:
    """Copy a project to *root* and let it name the database at *url*."""
    shutil.copytree(PROJECTS / kind.name, root)
    (root / ".db_ops").mkdir()
    written = url.replace("postgresql://", "postgresql+psycopg2://")
    for file in root.rglob("*"):
        if file.suffix in (".ini", ".py", ".toml"):
            mark = written.replace("%", "%%") if file.suffix == ".ini" else written
            file.write_text(file.read_text().replace(_WRITTEN, mark))
    env = {"XDG_CACHE_HOME": str(root / "cache"), "DB_OPS_SPARE": "0", **kind.environment}
    if kind.variable:
        env[kind.variable] = url.replace("postgresql://", f"{kind.scheme}://")
    if kind.name == "settings_object":
        parts = urlsplit(url)
        env |= {
            "LIBRARY_DB_HOST": str(parts.hostname),
            "LIBRARY_DB_PORT": str(parts.port),
            "LIBRARY_DB_USER": str(parts.username),
            "LIBRARY_DB_PASSWORD": unquote(parts.password or ""),
            "LIBRARY_DB_NAME": parts.path.strip("/"),
        }
    return ForeignProject(kind, root, url, env, launcher)
