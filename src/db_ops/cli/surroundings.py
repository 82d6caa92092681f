"""Commands around the life of the database: its server, drawings of it, the project."""

from __future__ import annotations

from pathlib import Path

from invoke.context import Context
from invoke.tasks import task

import db_ops
from db_ops.cli.progress import Progress
from db_ops.cli.rendering import show
from db_ops.cli.task import JSON, Command
from db_ops.results import Result

_DIAGRAM = {
    "output": "The file to write, .md or .mmd (default: print it).",
    "revisions": "Draw the revision graph instead.",
    "check": "Exit 3 if the file is not up to date; write nothing.",
}


@task(klass=Command, help=JSON)
def start(context: Context, json: bool = False) -> Result:
    """Start the project's embedded server."""
    with Progress() as progress:
        return show(db_ops.start(db_ops.load(), on_event=progress), json)


@task(klass=Command, help=JSON)
def stop(context: Context, json: bool = False) -> Result:
    """Stop the project's embedded server; its data stays."""
    with Progress() as progress:
        return show(db_ops.stop(db_ops.load(), on_event=progress), json)


@task(klass=Command, help={"clear": "Drop them; they are made again when needed."} | JSON)
def cache(context: Context, clear: bool = False, json: bool = False) -> Result:
    """List the template databases and the spare that make commands quick."""
    with Progress() as progress:
        return show(db_ops.cache(db_ops.load(), clear=clear, on_event=progress), json)


@task(klass=Command, help={"with-password": "Show the password too."} | JSON)
def url(context: Context, with_password: bool = False, json: bool = False) -> Result:
    """Print the database's URL for psql and the application."""
    with Progress() as progress:
        return show(db_ops.url(db_ops.load(), with_password=with_password, on_event=progress), json)


@task(klass=Command, help=JSON)
def doctor(context: Context, json: bool = False) -> Result:
    """Show what is set and by whom, what server and project allow, and what to do."""
    with Progress() as progress:
        return show(db_ops.doctor(db_ops.load(), on_event=progress), json)


@task(klass=Command, help={"models": "The models, as package.module:Base."} | JSON)
def new(context: Context, models: str = "", json: bool = False) -> Result:
    """Write the files of a migration environment for models that exist; overwrite nothing."""
    with Progress() as progress:
        return show(db_ops.new(Path.cwd(), models=models, on_event=progress), json)


@task(klass=Command, help=_DIAGRAM | JSON)
def diagram(
    context: Context,
    output: str | None = None,
    revisions: bool = False,
    check: bool = False,
    json: bool = False,
) -> Result:
    """Draw the schema, or the revision graph, as Mermaid."""
    with Progress() as progress:
        settings = db_ops.load()
        done = db_ops.diagram(
            settings, output=output, revisions=revisions, check=check, on_event=progress
        )
        return show(done, json)


@task(klass=Command, help=JSON)
def check_models(context: Context, json: bool = False) -> Result:
    """Check models against migrations alone, in a database made for it."""
    with Progress() as progress:
        return show(db_ops.check_models(db_ops.load(for_tests=True), on_event=progress), json)
