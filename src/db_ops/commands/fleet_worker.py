"""The work on single databases of a fleet: plain data in, plain data out, in any process.

What is told to a worker says nothing that is secret, unless it is a process of ours: then it has
the URL on its standard input.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import threading
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from db_ops.commands.downgrade import downgrade
from db_ops.commands.history import history
from db_ops.commands.init import init
from db_ops.commands.status import status
from db_ops.commands.upgrade import upgrade
from db_ops.commands.verify_quick import verify_quickly
from db_ops.errors import DbOpsError, InvalidSettings
from db_ops.errors.invocation import Invocation, invocation
from db_ops.frozen_data import replace
from db_ops.migrations.scripts import import_alembic
from db_ops.results import (
    Downgraded,
    FleetMember,
    History,
    Initialised,
    Migrated,
    QuicklyVerified,
    Result,
    Status,
    ignore,
)
from db_ops.settings import DatabaseUrl, Settings, load
from db_ops.target.fleet_members import Member
from db_ops.target.open_project import shared
from db_ops.target.target import Target, open_target

_OF_FLEET = re.compile(r"\bdb-ops (upgrade|downgrade|status|verify|init|history)\b")
Task = Mapping[str, Any]
# env.py runs under patches of the whole process: its threads take turns.
_one_at_a_time = threading.Lock()
_opened: dict[str, Target] = {}
# What applies a revision, and what models are made of: imported once, not by each worker.
_OF_REVISIONS = (
    "db_ops.migrations.env.runner",
    "db_ops.postgres.history.writer",
    "db_ops.postgres.indexes",
    "db_ops.target.alembic_hook",
    "sqlalchemy.orm",
)
_PATHS = ("alembic_ini", "user_cache", "folder", "server_home")
_LOADED = ("url", "application_url", "scratch_url", "fleet", "sources", "notes", "branch")


def plain_settings(settings: Settings, url: DatabaseUrl, *, with_url: bool) -> dict[str, Any]:
    """Return *settings*, of a service whose database *url* leads to, as plain data.

    *with_url* puts the URL in, with its password. Without, whoever gets it finds it in the
    variables of its own process, and that it leads to the same place.
    """
    plain = {name: value for name, value in vars(settings).items() if name not in _LOADED}
    plain |= {name: str(plain[name]) for name in _PATHS if plain[name] is not None}
    plain["declared_environment"] = settings.declared_environment
    plain["leads_to"] = url.render()
    if settings.fleet is not None:
        plain["of_members"] = [list(settings.fleet.x), settings.fleet.fingerprints]
    if with_url:
        plain["url"] = {"parameters": dict(url.parameters), "label": url.label}
    return plain


def keep_opened(target: Target, plain: Mapping[str, Any], *, loads: bool) -> None:
    """Keep *target*, which *plain* settings stand for, for workers that are forked off.

    If it *loads*, its revisions are imported here, and by none of them again.
    """
    if loads:
        for name in _OF_REVISIONS:
            import_module(name)
        import_alembic()
        _ = target.scripts
    _opened[_key(plain)] = target


def work(task: Task) -> list[dict[str, Any]]:
    """Run a command on some databases, one after the other, and return what came of each.

    *task* is what `commands.fleet` makes: `settings`, `command`, `options` and `members`.
    """
    with _one_at_a_time:
        # How commands are typed is known where the report is shown.
        token = invocation.set(Invocation())
        try:
            return [vars(_done(task, Member(*one))) for one in task["members"]]
        finally:
            invocation.reset(token)


def serve(tasks: int, answer: int) -> None:
    """Work on what comes in at the descriptor *tasks*, a line each, until there is no more."""
    answers = os.fdopen(os.dup(answer), "w")
    if answer == 1:
        os.dup2(2, 1)  # what the project prints is no part of the answer
    for line in os.fdopen(tasks):
        answers.write(json.dumps(work(json.loads(line))) + "\n")
        answers.flush()


def _done(task: Task, member: Member) -> FleetMember:
    started = time.monotonic()
    command, options = task["command"], dict(task["options"])
    name, location = member.name, member.database
    more: dict[str, Any]
    try:
        base = _base(task["settings"], command)
        settings = member.settings(base.settings, base.server.url)
        assert settings.url is not None
        location = settings.url.location
        if options.pop("confirmed", False):
            options["confirm"] = settings.url.database
        if command == "status":
            # `verify` looks at the catalogs, which takes ten times as long.
            settings = replace(settings, fingerprints=False)
        token = shared.set(base)
        try:
            result = _COMMANDS[command](settings, **options)
        finally:
            shared.reset(token)
    except DbOpsError as error:
        hint = _hint(error.hint, name)
        more = {"error": type(error).__name__, "message": error.message, "hint": hint}
        outcome = state = "failed"
    except Exception as error:
        from db_ops.migrations.env.error_location import describe_failure

        more = {"error": type(error).__name__, "message": describe_failure(error)}
        outcome = state = "failed"
    else:
        location = result.location
        outcome, state, more = _judged(result)
    seconds = round(time.monotonic() - started, 4)
    return FleetMember(name, location, outcome, state, seconds=seconds, **more)


def _key(plain: Mapping[str, Any]) -> str:
    return json.dumps(plain, sort_keys=True)


def _hint(hint: str, name: str) -> str:
    """Return *hint* with the commands in it for the database that people call *name*."""
    found = _OF_FLEET.sub(lambda one: f"{one[0]} --only {shlex.quote(name)}", hint)
    found = found.replace("db-ops ", "db-ops fleet ") if found != hint else found
    if found == hint and "db-ops " in hint:
        return f"with DATABASE_URL for this database: {hint}"
    return re.sub(r"--confirm \S+", "--confirm 1", found)


def _base(plain: Mapping[str, Any], command: str) -> Target:
    """Return the service's own target, with its revisions as this process has read them."""
    key = _key(plain)
    if key not in _opened:
        settings = _settings(plain)
        _opened[key] = open_target(settings, command, ignore)
        found = _opened[key].server.url.render()
        if found != plain["leads_to"]:
            problem = f"leads to {found} in this process, to {plain['leads_to']} in the one that"
            raise InvalidSettings({_opened[key].server.url.source: f"{problem} gave out the work"})
    return _opened[key]


def _settings(plain: Mapping[str, Any]) -> Settings:
    known = Settings.fields()
    given: dict[str, Any] = {name: value for name, value in plain.items() if name in known}
    given |= {name: Path(given[name]) for name in _PATHS if given[name] is not None}
    given |= {name: tuple(given[name]) for name in ("x", "models", "seed")}
    if "url" in plain:
        given["url"] = DatabaseUrl(**plain["url"])
        loaded = Settings(alembic_ini=given["alembic_ini"])
    else:
        ini = given["alembic_ini"]
        loaded = load(given["folder"] or ini.parent, alembic_ini=str(ini))
    from db_ops.settings.fleet import FleetSettings

    x, fingerprints = plain.get("of_members", ((), True))
    fleet = FleetSettings(x=tuple(x), fingerprints=fingerprints)
    return Settings(**{**vars(loaded), **given, "fleet": fleet})


Judged = tuple[str, str, dict[str, Any]]


def _judged(result: Result) -> Judged:
    """Return the outcome, the state in a word, and the rest of what there is to tell."""
    match result:
        case Status() | QuicklyVerified():
            return _compared(result)
        case Initialised() | Migrated():
            state = "applied" if result.steps else "ahead" if result.ahead else "at head"
            if isinstance(result, Initialised) and result.created:
                state = "created"
            return "done", state, {"revisions": result.heads, "steps": len(result.steps)}
        case Downgraded():
            more = {"revisions": result.heads, "steps": len(result.steps)}
            return "done", "reverted" if result.steps else "at base", more
        case History():
            return _told(result)
    raise AssertionError(type(result))


def _compared(result: Status | QuicklyVerified) -> Judged:
    agreed = result.up_to_date if isinstance(result, Status) else result.agreed
    changed = isinstance(result, QuicklyVerified) and result.drift.state != "equal"
    state, detail = "at head", None
    if not result.exists:
        state = "missing"
    elif result.unknown:
        state = "ahead" if result.ahead else "of another revision"
        detail = ", ".join(result.ahead or result.unknown)
    elif result.pending:
        state, detail = "behind", f"{len(result.pending)} pending"
    elif not result.heads_are_meant:
        state, detail = "several heads", ", ".join(result.heads)
    elif changed:
        state = "changed" if result.drift.state == "changed" else "not known"
        detail = result.drift.reason
    more = {"revisions": result.current, "detail": detail}
    return "done" if agreed else "different", state, more


def _told(result: History) -> Judged:
    """Tell the last step that is recorded."""
    if not result.exists:
        return "different", "missing", {}
    applied = [one for one in result.entries if one.applied]
    dated = [one for one in result.entries if one.finished]
    last = max(dated, key=lambda one: one.finished or "", default=None)
    detail = f"{len(applied)} applied"
    if last is not None:
        detail += f", last {last.action} {last.id} {last.finished} by {last.os_user}"
    return "done", "ahead" if result.ahead else "read", {
        "revisions": result.current, "detail": detail,
    }  # fmt: skip


def _verify(settings: Settings) -> Result:
    return verify_quickly(settings, ignore)


_COMMANDS: Mapping[str, Callable[..., Result]] = {
    "downgrade": downgrade,
    "history": history,
    "init": init,
    "status": status,
    "upgrade": upgrade,
    "verify": _verify,
}
