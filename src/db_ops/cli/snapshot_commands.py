"""The commands about snapshots."""

from __future__ import annotations

from invoke.context import Context
from invoke.tasks import task

import db_ops
from db_ops.cli.progress import Progress
from db_ops.cli.rendering import show
from db_ops.cli.task import CONFIRM, JSON, Command
from db_ops.results import Result


@task(klass=Command, help={"name": "What to call it."} | CONFIRM | JSON)
def snapshot(context: Context, name: str, confirm: str | None = None, json: bool = False) -> Result:
    """Keep the database with its data under a name."""
    with Progress() as progress:
        return show(db_ops.snapshot(db_ops.load(), name, confirm=confirm, on_event=progress), json)


@task(klass=Command, help={"name": "Which one."} | CONFIRM | JSON)
def restore(context: Context, name: str, confirm: str | None = None, json: bool = False) -> Result:
    """Bring the database back to what it was at a snapshot."""
    with Progress() as progress:
        return show(db_ops.restore(db_ops.load(), name, confirm=confirm, on_event=progress), json)


@task(klass=Command, help={"drop": "The name of one to drop."} | JSON)
def snapshots(context: Context, drop: str | None = None, json: bool = False) -> Result:
    """List the snapshots of the database."""
    with Progress() as progress:
        return show(db_ops.snapshots(db_ops.load(), drop_name=drop, on_event=progress), json)
