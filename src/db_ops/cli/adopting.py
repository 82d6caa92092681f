"""The commands for a project that begins with us: `doctor` and `new`."""

from __future__ import annotations

from pathlib import Path

from invoke.context import Context
from invoke.tasks import task

import db_ops
from db_ops.cli.progress import Progress
from db_ops.cli.rendering import show
from db_ops.cli.task import Command
from db_ops.results import Result

_JSON = {"json": "Print the result as one JSON document."}


@task(klass=Command, help=_JSON)
def doctor(context: Context, json: bool = False) -> Result:
    """Show what is set and by whom, what server and project allow, and what to do."""
    with Progress() as progress:
        return show(db_ops.doctor(db_ops.load(), on_event=progress), json)


@task(klass=Command, help={"models": "The models, as package.module:Base."} | _JSON)
def new(context: Context, models: str = "", json: bool = False) -> Result:
    """Write the files of a migration environment for models that exist; overwrite nothing."""
    with Progress() as progress:
        return show(db_ops.new(Path.cwd(), models=models, on_event=progress), json)
