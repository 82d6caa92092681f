"""Commands whose options need more than a call of the function of their name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import db_ops
from db_ops.cli.declaration import Options
from db_ops.errors import UsageError
from db_ops.results import OnEvent, Result

Load = Callable[..., Any]


def create_migration(load: Load, options: Options, on_event: OnEvent) -> Result:
    from db_ops.cli.prompts import create_with_prompts

    settings = load()
    given = dict(options)
    rebase = given.pop("rebase")
    if rebase is not None:
        return db_ops.rebase_migration(settings, rebase, on_event=on_event)
    message = given.pop("message") or ""
    given["extension"] = tuple(given["extension"])
    renames, no_rename = tuple(given.pop("rename")), given.pop("no_rename")
    create = partial(db_ops.create_migration, settings, message, on_event=on_event, **given)
    return create_with_prompts(create, renames, no_rename=no_rename)


def upgrade(load: Load, options: Options, on_event: OnEvent) -> Result:
    if options["plan"] and options["sql"]:
        raise UsageError("upgrade: --plan and --sql contradict each other", "leave one of them out")
    revision, check = options["revision"], options["check"]
    if check and not options["plan"]:
        problem = "upgrade: --check is about what --plan finds"
        raise UsageError(problem, "write both: db-ops upgrade --plan --check")
    against = options["against"]
    if against is not None and not options["plan"]:
        problem = "upgrade: --against is about what --plan shows"
        raise UsageError(problem, "write both: db-ops upgrade --plan --against REF")
    if options["plan"]:
        return db_ops.plan_upgrade(
            load(), revision=revision, check=check, against=against, on_event=on_event
        )
    if options["sql"]:
        return db_ops.upgrade_sql(load(), revision=revision, on_event=on_event)
    unfinished = options["unfinished"]
    return db_ops.upgrade(load(), revision=revision, unfinished=unfinished, on_event=on_event)


def downgrade(load: Load, options: Options, on_event: OnEvent) -> Result:
    steps, branch, confirm = _steps(options["steps"]), options["branch"], options["confirm"]
    if options["plan"]:
        return db_ops.plan_downgrade(load(), steps=steps, branch=branch, on_event=on_event)
    return db_ops.downgrade(load(), steps=steps, branch=branch, confirm=confirm, on_event=on_event)


def stamp(load: Load, options: Options, on_event: OnEvent) -> Result:
    if not options["find"]:
        anyway, confirm = options["anyway"], options["confirm"]
        names = options["revision"]
        return db_ops.stamp(load(), *names, anyway=anyway, confirm=confirm, on_event=on_event)
    if options["revision"]:
        problem = "stamp: --find looks for the revision, and one is named"
        raise UsageError(problem, "leave it out: db-ops stamp --find")
    return db_ops.find_revisions(load(), on_event=on_event)


def check_models(load: Load, options: Options, on_event: OnEvent) -> Result:
    return db_ops.check_models(load(for_tests=True), **options, on_event=on_event)


def snapshots(load: Load, options: Options, on_event: OnEvent) -> Result:
    return db_ops.snapshots(load(), drop_name=options["drop"], on_event=on_event)


def undo(load: Load, options: Options, on_event: OnEvent) -> Result:
    if options["list"]:
        return db_ops.undo_list(load(), on_event=on_event)
    return db_ops.undo(load(), confirm=options["confirm"], on_event=on_event)


def load_dump(load: Load, options: Options, on_event: OnEvent) -> Result:
    given = dict(options)
    return db_ops.load_dump(load(), given.pop("file"), **given, on_event=on_event)


def new(load: Load, options: Options, on_event: OnEvent) -> Result:
    return db_ops.new(Path.cwd(), models=options["models"] or "", on_event=on_event)


def fleet(load: Load, options: Options, on_event: OnEvent) -> Result:
    from db_ops.settings.fleet import shard_of

    command = options["action"]
    for name, of in (("revision", "upgrade"), ("steps", "downgrade"), ("confirm", "downgrade")):
        if options[name] is not None and command != of:
            problem = f"fleet {command}: --{name} is for {of}"
            raise UsageError(problem, "see the options: db-ops fleet --help")
    if options["quick"] and command != "verify":
        raise UsageError(f"fleet {command}: --quick is for verify", "db-ops fleet verify --quick")
    return db_ops.fleet(
        load(),
        command,
        revision=options["revision"],
        steps=_steps(options["steps"]),
        confirm=options["confirm"],
        only=tuple(options["only"]),
        shard=shard_of(options["shard"]),
        canary=_count("canary", options) or 0,
        max_failures=_count("max_failures", options),
        jobs=_count("jobs", options),
        connections_per_server=_count("connections_per_server", options),
        on_event=on_event,
    )


def _count(name: str, options: Options) -> int | None:
    text = options[name]
    if text is None:
        return None
    if not text.isdecimal() or int(text) < 1:
        problem = f"fleet: --{name.replace('_', '-')} {text!r} is not a whole number from 1"
        raise UsageError(problem, "see the options: db-ops fleet --help")
    return int(text)


def _steps(text: str | None) -> int | None:
    if text == "base":
        return None
    try:
        # `0001` is a revision's name to who knows `alembic downgrade`, not one step.
        if text and text != "0" and text.startswith("0"):
            raise ValueError(text)
        return int(text) if text is not None else 1
    except ValueError:
        raise UsageError(
            f"downgrade: --steps {text!r} is not a number of revisions",
            "count those to revert: db-ops history; then, for one: db-ops downgrade -s 1",
        ) from None
