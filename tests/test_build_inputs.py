"""Each thing that reaches env.py or a revision, changed in turn: what is built is what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.project import Project

REVISION = """
import os
from pathlib import Path
from alembic import context

root = Path(__file__).parents[2]
shared = root.parent / "shared"
try:
    local = (shared / "local.txt").read_text()
except FileNotFoundError:
    local = "none"
values = {
    "tenant": context.get_x_argument(as_dictionary=True).get("tenant", "none"),
    "section": context.config.config_ini_section,
    "seed": (shared / "seed.txt").read_text(),
    "local": local,
    "parts": " ".join(sorted(path.name for path in (shared / "parts").glob("*"))),
    "plan": os.environ.get("PLAN", "none"),
}
op.execute("CREATE TABLE inputs (name text, value text)")
for name, value in values.items():
    op.execute(f"INSERT INTO inputs VALUES ('{name}', '{value}')")
"""


@pytest.fixture
def reading(project: Project) -> Project:
    """A project whose revision writes down all that it can be told."""
    shared = project.root.parent / "shared"
    (shared / "parts").mkdir(parents=True)
    (shared / "seed.txt").write_text("first")
    (shared / "parts" / "a").touch()
    ini = project.root / "alembic.ini"
    text = ini.read_text()
    section = text[text.index("[alembic]") :].partition("\n[")[0]
    ini.write_text(f"{text}\n{section.replace('[alembic]', '[other]')}\n")
    project.revision("0001", REVISION)
    project.models(
        "class Inputs(Base):\n    __tablename__ = 'inputs'\n    name: Mapped[str] = "
        "mapped_column(primary_key=True)"
    )
    return project


def shared(project: Project) -> Path:
    return project.root.parent / "shared"


CHANGES: dict[str, tuple[Callable[[Project], object], str]] = {
    "tenant": (lambda p: p.env.update(DB_OPS_X="tenant=north"), "north"),
    "section": (lambda p: p.env.update(DB_OPS_NAME="other"), "other"),
    "seed": (lambda p: (shared(p) / "seed.txt").write_text("second"), "second"),
    "local": (lambda p: (shared(p) / "local.txt").write_text("here"), "here"),
    "parts": (lambda p: (shared(p) / "parts" / "b").touch(), "a b"),
    "plan": (lambda p: p.env.update(PLAN="large"), "large"),
}


def test_each_changed_input_changes_what_is_built(reading: Project) -> None:
    def built() -> str:
        said = json.loads(reading.run("recreate", "--json").succeeded().out)
        return str(said["origin"]["source"])

    assert built() == "migrations"
    for name, (change, value) in CHANGES.items():
        change(reading)
        assert built() == "migrations", name
        found = reading.query("SELECT value FROM inputs WHERE name = %s", name)
        assert found == [(value,)], name
    assert built() == "template"
    reading.env["DB_OPS_X"] = "tenant=south"
    assert built() == "migrations"
    reading.env["DB_OPS_X"] = "tenant=north"
    assert built() == "template"
    assert reading.query("SELECT value FROM inputs WHERE name = 'tenant'") == [("north",)]


def test_verify_builds_its_sides_again_for_each_changed_input(reading: Project) -> None:
    def side() -> str:
        return str(json.loads(reading.run("verify", "--json").out)["sides"]["migrations"])

    reading.run("init").succeeded()
    assert side() != "cache"
    assert side() == "cache"
    for name in ("tenant", "section", "seed", "local", "plan"):
        CHANGES[name][0](reading)
        assert side() != "cache", name
    assert side() == "cache"


def test_secrets_and_urls_are_no_part_of_what_a_template_says(reading: Project) -> None:
    reading.revision("0002", "import os\nos.environ.get('API_TOKEN'), os.environ.get('BROKER')")
    reading.env |= {"API_TOKEN": "t0ken", "BROKER": "amqp://u:p@host", "PLAN": "large"}
    reading.run("recreate").succeeded()
    ((comment,),) = reading.query(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname LIKE"
        " 'db\\_ops\\_template%%' AND shobj_description(oid, 'pg_database') LIKE %s",
        f'%"{reading.url.rpartition("/")[2]}"%',
    )
    files = json.loads(str(comment))["files"]
    assert "$PLAN" in files
    assert not {"$API_TOKEN", "$BROKER"} & set(files)
    # What nobody has asked for is no input.
    assert "$DATABASE_URL" not in files
    assert "$DB_OPS_SPARE" not in files
