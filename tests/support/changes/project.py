"""The base of the corpus as a project: one revision, and models that agree with it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.changes import BASE
from tests.support.project import Project

_UPGRADE = """
from pathlib import Path
base = Path(__file__).parents[2] / "base.sql"
op.get_bind().exec_driver_sql(base.read_text().replace("%", "%%"))
"""
# The base has a constraint that was never checked, which is told even where all sides have it.
_RULES = """
[tool.db_ops.verify]
ignore = ["constraint public.runs.ck_runs_note: validity"]
"""


def corpus_project(project: Project) -> None:
    """Write the models and the one revision into an empty *project*."""
    shutil.copy(Path(__file__).parent / "models.py", project.root)
    env_py = project.root / "alembic" / "env.py"
    text = env_py.read_text().replace("import Base", "import metadata")
    env_py.write_text(text.replace("Base.metadata", "metadata"))
    (project.root / "base.sql").write_text(BASE)
    (project.root / "pyproject.toml").write_text(_RULES)
    project.revision("0001", _UPGRADE)
