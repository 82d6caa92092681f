"""The same history for other tools: stock Alembic, Flask-Migrate, Django, dbmate, psql."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from benchmarks.history import Revision, Table
from benchmarks.projects import Project, write_files
from benchmarks.tools import BIN, Tools

_STOCK_METADATA = """import os

from models import metadata as target_metadata

config.set_main_option("sqlalchemy.url", os.environ["DATABASE_URL"].replace("%", "%%"))"""
_FLASK_APP = """import os

from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

from models import metadata

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
migrate = Migrate(app, SQLAlchemy(app, metadata=metadata))
"""
_DJANGO = {
    "manage.py": "import sys\n"
    "from django.core.management import execute_from_command_line\n"
    "execute_from_command_line(sys.argv)\n",
    "settings.py": """import os
from urllib.parse import parse_qs, urlsplit

url = urlsplit(os.environ["DATABASE_URL"])
address = parse_qs(url.query)
INSTALLED_APPS = ["app"]
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.path[1:],
        "USER": url.username,
        "HOST": address["host"][0],
        "PORT": address["port"][0],
    }
}
""",
    "app/__init__.py": "",
    "app/migrations/__init__.py": "",
}
_DJANGO_IMPORTS = "from django.db import {}models\nfrom django.db.models.functions import Now\n"
_DJANGO_MIGRATION = """

class Migration(migrations.Migration):
    dependencies = [{dependencies}]
    operations = [
        {operations},
    ]
"""


def twin(project: Project, kind: str, tools: Tools) -> Path:
    """Return the folder of *project* for one kind of tool, written when it is first asked for."""
    folder = project.root / kind
    if not folder.exists():
        folder.mkdir()
        _WRITERS[kind](project, folder, tools)
    return folder


def _stock(project: Project, folder: Path, tools: Tools) -> None:
    """What `alembic init` writes, with the models and the URL filled in."""
    _run(BIN / "alembic", "init", "alembic", folder=folder)
    env_py = folder / "alembic" / "env.py"
    text = env_py.read_text()
    assert "target_metadata = None" in text
    env_py.write_text(text.replace("target_metadata = None", _STOCK_METADATA))
    project.link(folder, folder / "alembic" / "versions")


def _flask(project: Project, folder: Path, tools: Tools) -> None:
    write_files(folder, {"app.py": _FLASK_APP})
    versions = folder / "migrations" / "versions"
    (folder / "models.py").symlink_to(project.ours / "models.py")
    _run(tools.path("flask"), "db", "init", folder=folder)
    (folder / "models.py").unlink()
    project.link(folder, versions)


def _django(project: Project, folder: Path, tools: Tools) -> None:
    contents = _DJANGO | {"app/models.py": _django_models(project.history.tables)}
    names = django_names(project)
    for before, name, revision in zip(
        [None, *names[:-1]], names, project.history.revisions, strict=True
    ):
        contents[f"app/migrations/{name}.py"] = _django_migration(revision, before)
    write_files(folder, contents)


def _dbmate(project: Project, folder: Path, tools: Tools) -> None:
    write_files(
        folder,
        {
            f"db/migrations/{version}_{script.revision.id}.sql": (
                f"-- migrate:up\n{script.sql}\n\n-- migrate:down\n"
            )
            for version, script in zip(dbmate_versions(project), project.scripts, strict=True)
        },
    )


def _sql(project: Project, folder: Path, tools: Tools) -> None:
    write_files(folder, {"upgrade.sql": project.sql})


def dbmate_versions(project: Project) -> list[str]:
    """Return the versions that dbmate records, oldest first."""
    return [f"{number:014}" for number in range(1, project.revisions + 1)]


def django_names(project: Project) -> list[str]:
    """Return the names that Django records, oldest first."""
    return [
        f"{number:04}_{revision.id}"
        for number, revision in enumerate(project.history.revisions, start=1)
    ]


def _django_migration(revision: Revision, before: str | None) -> str:
    return _DJANGO_IMPORTS.format("migrations, ") + _DJANGO_MIGRATION.format(
        dependencies=f'("app", "{before}")' if before else "",
        operations=",\n        ".join(revision.django),
    )


def _django_models(tables: list[Table]) -> str:
    classes = []
    for table in tables:
        fields = "".join(f"    {name} = {text}\n" for name, text in table.fields.items())
        classes.append(
            f"\n\nclass {table.model}(models.Model):\n{fields}\n    class Meta:\n"
            f'        db_table = "{table.name}"\n'
            f"        constraints = [{', '.join(table.meta_constraints)}]\n"
            f"        indexes = [{', '.join(table.meta_indexes)}]\n"
        )
    return _DJANGO_IMPORTS.format("") + "".join(classes)


def _run(*command: object, folder: Path) -> None:
    url = "postgresql+psycopg2://"
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "FLASK_APP": "app", "DATABASE_URL": url},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        raise RuntimeError(f"{command[-2]} {command[-1]}: {''.join(last)}")


_WRITERS: dict[str, Callable[[Project, Path, Tools], None]] = {
    "stock": _stock,
    "flask": _flask,
    "django": _django,
    "dbmate": _dbmate,
    "sql": _sql,
}
