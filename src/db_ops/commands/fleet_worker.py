"""The work on single databases of a fleet: plain data in, plain data out, in any process.

What is told to a worker says nothing that is secret, unless it is a process of ours: then it has
the URL on its standard input.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from db_ops.commands.downgrade import downgrade
from db_ops.commands.fleet_data import fleet_in, hint_for, settings_in
from db_ops.commands.history import history
from db_ops.commands.init import init
from db_ops.commands.status import status
from db_ops.commands.upgrade import upgrade
from db_ops.commands.verify_quick import verify_quickly
from db_ops.errors import DbOpsError, InvalidSettings, OtherMembersChanged, OtherSchema
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
from db_ops.settings import Settings
from db_ops.settings.environment import set_variables
from db_ops.target.fleet_base import open_server_of, opened_as
from db_ops.target.fleet_members import Member, fleet_of
from db_ops.target.open_project import shared
from db_ops.target.target import Target

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


def keep_opened(target: Target, plain: Mapping[str, Any], *, loads: bool) -> None:
    """Keep *target*, which *plain* settings stand for, for workers that are forked off.

    If it *loads*, its revisions are imported here, and by none of them again.
    """
    if loads:
        import_libraries()
        _ = target.scripts
    _opened[_key(plain)] = target


def import_libraries() -> None:
    """Import what applies revisions, for workers that are forked off."""
    for name in _OF_REVISIONS:
        import_module(name)
    import_alembic()


def work(task: Task) -> list[dict[str, Any]]:
    """Run a command on some databases, one after the other, and return what came of each.

    *task* is what `commands.fleet` makes: `settings`, `command`, `options` and `members`.
    """
    if not fleet_in(task["settings"]).environment:
        return _work(task)
    from db_ops.commands.fleet_pool import in_own_process

    # The environment is the process's, and what the project has read of it.
    return [one for each in task["members"] for one in in_own_process({**task, "members": [each]})]


def _work(task: Task) -> list[dict[str, Any]]:
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
        answers.write(json.dumps(_work(json.loads(line))) + "\n")
        answers.flush()


def serve_alone(tasks: int, answer: int) -> None:
    """Do what `serve` does, each task in a fork, and end as one of those that did not answer."""
    for line in os.fdopen(tasks):
        pid = os.fork()
        if pid == 0:
            try:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                with os.fdopen(os.dup(answer), "w") as answers:
                    answers.write(json.dumps(_work(json.loads(line))) + "\n")
                os._exit(0)
            finally:
                os._exit(1)
        # Who ends this process means the one that works.
        signal.signal(signal.SIGTERM, lambda *_, pid=pid: os.kill(pid, signal.SIGTERM))
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if code < 0:
            signal.raise_signal(-code)
        if code:
            os._exit(code)


def _done(task: Task, member: Member) -> FleetMember:
    started = time.monotonic()
    command, options = task["command"], dict(task["options"])
    name, location = member.name, member.database
    more: dict[str, Any]
    try:
        settings, base = _settings_of(task["settings"], command, member)
        assert settings.url is not None
        location = settings.url.location
        if options.pop("confirmed", False):
            options["confirm"] = settings.url.database
        if command == "status":
            # `verify` looks at the catalogs, which takes ten times as long.
            settings = replace(settings, fingerprints=False)
        token = shared.set(base)
        try:
            set_variables(settings.variables)
            result = _COMMANDS[command](settings, **options)
        finally:
            shared.reset(token)
    except DbOpsError as error:
        hint = error.hint
        if not isinstance(error, OtherMembersChanged | OtherSchema):
            hint = hint_for(hint, member, fleet_in(task["settings"]))
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


def _settings_of(
    plain: Mapping[str, Any], command: str, member: Member
) -> tuple[Settings, Target | None]:
    """Return the settings for *member*, and what this process has read of the project already.

    That is nothing in a process for it alone.
    """
    key = _key(plain)
    base = _opened.get(key)
    if base is not None:
        return member.settings(base.settings, base.server.url), base
    server, project = open_server_of(settings_in(plain), command, ignore)
    found = server.url.render()
    if found != plain["leads_to"]:
        problem = f"leads to {found} in this process, to {plain['leads_to']} in the one that"
        raise InvalidSettings({server.url.source: f"{problem} gave out the work"})
    if not fleet_of(server.settings).environment:
        base = _opened[key] = opened_as(server, project, member)
    return member.settings(server.settings, server.url), base


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
    elif isinstance(result, QuicklyVerified) and result.drift.state != "equal":
        drift = result.drift
        state, detail = "not known", drift.reason
        if drift.state == "changed":
            state, detail = "changed", f"catalogs not as recorded {drift.since}"
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
