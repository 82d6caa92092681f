"""The commands: read the settings, run one operation, show its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

import db_ops
from db_ops.cli.progress import Progress
from db_ops.cli.questions import asking
from db_ops.cli.rendering import show
from db_ops.cli.snapshot_commands import restore, snapshot, snapshots
from db_ops.cli.surroundings import (
    cache,
    check_models,
    diagram,
    doctor,
    new,
    start,
    stop,
    url,
)
from db_ops.cli.task import CONFIRM, JSON, Command
from db_ops.errors import UsageError
from db_ops.results import Result

_REPLAY = {"from-migrations": "Run the migrations even if there is a template to copy."}
_BRANCH = {"branch": "The branch that is meant, by a label or any of its revisions."}
_STEPS = {"steps": "How many to revert (default: 1)."}
_PLAN = {"plan": "Only show what would run, measured in a scratch database."}
_SQL = {"sql": "Only print the SQL, for psql."}
_QUICK = {"quick": "Only look whether the catalogs are as they were when the head was applied."}
_RECORD = {"record": "First record the database and the revision files as they are now."}


@task(klass=Command, help=_REPLAY | JSON)
def init(context: Context, from_migrations: bool = False, json: bool = False) -> Result:
    """Create the database if it is missing and apply every migration."""
    with Progress() as progress:
        settings = db_ops.load()
        done = db_ops.init(settings, from_migrations=from_migrations, on_event=progress)
        return show(done, json)


@task(klass=Command, help=CONFIRM | _REPLAY | JSON)
def recreate(
    context: Context,
    confirm: str | None = None,
    from_migrations: bool = False,
    json: bool = False,
) -> Result:
    """Delete the database, then create it and apply every migration."""
    with Progress() as progress:
        settings = db_ops.load()
        done = db_ops.recreate(
            settings, confirm=confirm, from_migrations=from_migrations, on_event=progress
        )
        return show(done, json)


@task(klass=Command, help=CONFIRM | JSON)
def delete_db(context: Context, confirm: str | None = None, json: bool = False) -> Result:
    """Drop the database, whoever is connected to it."""
    with Progress() as progress:
        return show(db_ops.delete_db(db_ops.load(), confirm=confirm, on_event=progress), json)


_CREATION = {
    "message": "What changes, in a few words.",
    "rename": "What was renamed: table.old:new or old_table:new_table. Any number of times.",
    "no-rename": "Nothing else was renamed: what is gone is dropped, what is new is added.",
    "irreversible": "Write a downgrade that refuses, and do not try it.",
    "rebase": "Write nothing: put this head, yours and applied nowhere, on top of the other one.",
}


@task(klass=Command, positional=[], iterable=["rename"], help=_CREATION | _BRANCH | JSON)
def create_migration(
    context: Context,
    rename: list[str],
    message: str = "",
    no_rename: bool = False,
    irreversible: bool = False,
    rebase: str | None = None,
    branch: str | None = None,
    json: bool = False,
) -> Result:
    """Write one revision file from what changed in the models, and prove it."""
    with Progress() as progress:
        settings = db_ops.load()
        if rebase is not None:
            return show(db_ops.rebase_migration(settings, rebase, on_event=progress), json)
        create = partial(
            db_ops.create_migration,
            settings,
            message,
            irreversible=irreversible,
            branch=branch,
            on_event=progress,
        )
        done = asking(create, tuple(rename), no_rename=no_rename, silent=json)
        return show(done, json)


@task(
    klass=Command,
    help={"revision": "Where to stop: a revision, LABEL@head, or +N for so many (default: head)."}
    | _PLAN
    | _SQL
    | JSON,
)
def upgrade(
    context: Context,
    revision: str | None = None,
    plan: bool = False,
    sql: bool = False,
    json: bool = False,
) -> Result:
    """Apply pending migrations."""
    operation = _chosen("upgrade", {"plan_upgrade": plan, "upgrade_sql": sql})
    with Progress() as progress:
        return show(operation(db_ops.load(), revision=revision, on_event=progress), json)


@task(
    klass=Command,
    help={"steps": "How many to revert (default: 1)."} | _BRANCH | CONFIRM | _PLAN | JSON,
)
def downgrade(
    context: Context,
    steps: str = "1",
    branch: str | None = None,
    confirm: str | None = None,
    plan: bool = False,
    json: bool = False,
) -> Result:
    """Revert the newest migrations."""
    number = _number(steps)
    with Progress() as progress:
        settings = db_ops.load()
        if plan:
            planned = db_ops.plan_downgrade(
                settings, steps=number, branch=branch, on_event=progress
            )
            return show(planned, json)
        done = db_ops.downgrade(
            settings, steps=number, branch=branch, confirm=confirm, on_event=progress
        )
        return show(done, json)


@task(klass=Command, help=_RECORD | JSON)
def history(context: Context, record: bool = False, json: bool = False) -> Result:
    """Show every revision: whether it is applied, when, by whom, in what time."""
    with Progress() as progress:
        return show(db_ops.history(db_ops.load(), record=record, on_event=progress), json)


@task(
    klass=Command,
    help={
        "grants": "Compare owners and rights too.",
        "accept": "Write the differences to the baseline, and accept them from now on.",
    }
    | _QUICK
    | JSON,
)
def verify(
    context: Context,
    grants: bool = False,
    accept: bool = False,
    json: bool = False,
    quick: bool = False,
) -> Result:
    """Check that models, migrations and database agree; exit 3 if not."""
    with Progress() as progress:
        settings = db_ops.load()
        done = db_ops.verify(settings, grants=grants, accept=accept, quick=quick, on_event=progress)
        return show(done, json)


@task(klass=Command, help={"check": "Exit 3 unless the database is at head."} | JSON)
def status(context: Context, check: bool = False, json: bool = False) -> Result:
    """Show where the database stands and what to run next."""
    with Progress() as progress:
        return show(db_ops.status(db_ops.load(), check=check, on_event=progress), json)


def _chosen(usual: str, by_flag: Mapping[str, bool]) -> Callable[..., Result]:
    """Return the operation whose flag was given, *usual* without one."""
    given = [name for name, is_given in by_flag.items() if is_given]
    if len(given) > 1:
        raise UsageError(f"{usual}: two flags contradict each other", "leave one of them out")
    operation: Callable[..., Result] = getattr(db_ops, given[0] if given else usual)
    return operation


def _number(text: str) -> int:
    # Invoke's own conversion of a number that is none ends in a traceback.
    try:
        return int(text)
    except ValueError:
        raise UsageError(
            f"steps: {text!r} is not a number", "revert one: inv db.downgrade -s 1"
        ) from None


collection = Collection(
    "db",
    init,
    recreate,
    delete_db,
    create_migration,
    upgrade,
    downgrade,
    verify,
    status,
    history,
    start,
    stop,
    url,
    cache,
    doctor,
    new,
    snapshot,
    restore,
    snapshots,
    diagram,
    check_models,
)
