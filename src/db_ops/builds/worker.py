"""Build templates and spares in another process; its settings are sent to its standard input.

They may hold a password. Behind a command that has answered, detached and niced: the next spare,
and dropping what was replaced. Waited for: a template, so that what the revisions import, and do to
models, is nothing to whom compares models afterwards.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, cast

from db_ops.builds.phases import MIGRATIONS, revisions_as_phase
from db_ops.builds.template_builder import TEMPLATE_COMMAND, TemplateBuilder
from db_ops.errors import DbOpsError
from db_ops.errors.tracebacks import decode, encode
from db_ops.frozen_data import replace
from db_ops.migrations.build_inputs import BuildInputs
from db_ops.migrations.scripts import import_alembic
from db_ops.postgres.connection.session import maintenance_session
from db_ops.postgres.own_databases import drop_unused_databases
from db_ops.results import Event, OnEvent, PhaseStarted, WaitingForLock, WaitingForServer, ignore
from db_ops.settings import DatabaseUrl, Settings
from db_ops.target.target import Target, open_target

_PATIENCE = 1.0
_TOLD = (PhaseStarted, WaitingForLock, WaitingForServer)
# The door that the command came through may have made more modules known.
_PROGRAM = "import sys; sys.path[:] = {path}; from db_ops.builds.worker import {task}; {task}()"


def prepare_in_background(target: Target, seeds: tuple[str, ...] = ()) -> None:
    """Start a process that makes the next spare and drops what was replaced; do not wait for it.

    A process that cannot be started is no failure: the next command finds no spare.
    """
    with suppress(OSError):
        process = _start(target, "prepare", subprocess.DEVNULL)
        assert process.stdin is not None
        with process.stdin as pipe:
            pipe.write(encode_settings(target, seeds))
        # It outlives us by design, and Popen need not warn of that.
        process.returncode = 0


def make_template_in_subprocess(target: Target, seeds: tuple[str, ...] = ()) -> None:
    """Make the template, with *seeds*, in another process and wait for it.

    Raises what the migrations and the seeds raise.

    Whom that process waits for is told as if we did, and how far it is.
    """
    target.server.on_event(PhaseStarted(MIGRATIONS))
    make = _forked if _may_fork(target, seeds) else _started
    with make(target, seeds) as answer:
        for line in answer:
            # A process that was killed may have been halfway through.
            if line.endswith(b"\n"):
                _forward_event(line, target.server.on_event)


def _may_fork(target: Target, seeds: tuple[str, ...]) -> bool:
    """Tell whether a fork of this process builds what a new one would.

    What this process has imported already, and what that has read, is not known. And a thread may
    hold a lock that nobody in a fork gives back; our own ones wait.
    """
    names = {thread.name.partition("-")[0] for thread in threading.enumerate()}
    inputs = BuildInputs(target.project, target.settings.cache_folder, seeds)
    return (
        sys.platform == "linux"
        and names <= {"MainThread", "db_ops"}
        and not inputs.loaded_modules()
    )


@contextmanager
def _started(target: Target, seeds: tuple[str, ...]) -> Iterator[BinaryIO]:
    """Make the template in a new interpreter; yield what it answers."""
    with _start(target, "make_template", subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with suppress(BrokenPipeError), process.stdin as pipe:
                pipe.write(encode_settings(target, seeds))
            yield cast(BinaryIO, process.stdout)
        except BaseException:
            # Nobody waits for it any more; what it leaves is swept.
            process.terminate()
            raise


@contextmanager
def _forked(target: Target, seeds: tuple[str, ...]) -> Iterator[BinaryIO]:
    """Make the template in a fork, which has imported the libraries; yield what it answers."""
    # We shall need them as well.
    import_alembic()
    ours, theirs = os.pipe()
    settings = decode_settings(encode_settings(target, seeds))
    with warnings.catch_warnings():
        # Python 3.12 sees the threads, and not what they do.
        warnings.simplefilter("ignore", DeprecationWarning)
        process = os.fork()
    if process == 0:
        _become_worker(settings, theirs)
    os.close(theirs)
    try:
        with os.fdopen(ours, "rb") as answer:
            yield answer
    except BaseException:
        os.kill(process, signal.SIGTERM)
        raise
    finally:
        # A program may ignore how its children end.
        with suppress(ChildProcessError):
            os.waitpid(process, 0)


def _become_worker(settings: Settings, answer: int) -> NoReturn:
    """Make the template in this fork and end it."""
    try:
        isolate(answer)
        _make_template(settings, answer)
    finally:
        os._exit(0)


def isolate(*kept: int) -> None:
    """Leave this fork with nothing of what its parent has open but the descriptors *kept*.

    A session that it would keep open could hold locks after its parent's end.
    """
    edges = (2, *sorted(kept), os.sysconf("SC_OPEN_MAX"))
    for before, after in pairwise(edges):
        os.closerange(before + 1, after)
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)


def _forward_event(line: bytes, on_event: OnEvent) -> None:
    kind, _, rest = line.partition(b" ")
    if kind == b"error":
        raise decode(rest)
    event = next(one for one in _TOLD if one.__name__.encode() == kind)
    on_event(event(**json.loads(rest)))


def prepare() -> None:
    """Make the next spare for the settings on standard input, and drop what was replaced."""
    # Lower, it would hardly run on a busy machine, and the next command waits for what it builds.
    os.nice(5)
    settings = replace(decode_settings(sys.stdin.buffer.read()), wait_timeout=_PATIENCE)
    # What fails is left to the next command, which has somebody to tell.
    with suppress(DbOpsError), _builder(settings) as builder:
        if builder is not None:
            builder.make_spare()
            drop_unused_databases(builder.connection)


def make_template() -> None:
    """Make the template for the settings on standard input; write what fails to standard output."""
    answer = os.dup(1)
    os.dup2(2, 1)  # what the project prints is no part of the answer
    _make_template(decode_settings(sys.stdin.buffer.read()), answer)


def _make_template(settings: Settings, descriptor: int) -> None:
    answer = os.fdopen(descriptor, "wb")

    def tell(event: Event) -> None:
        if isinstance(event, _TOLD):
            answer.write(f"{type(event).__name__} {json.dumps(vars(event))}\n".encode())
            answer.flush()

    with answer:
        try:
            with _builder(settings, revisions_as_phase(tell)) as builder:
                if builder is not None:
                    builder.make_template()
        except DbOpsError as error:
            answer.write(b"error " + encode(error) + b"\n")


@contextmanager
def _builder(settings: Settings, on_event: OnEvent = ignore) -> Iterator[TemplateBuilder | None]:
    target = open_target(settings, TEMPLATE_COMMAND, on_event)
    with maintenance_session(target.server) as connection:
        yield TemplateBuilder.of(target, connection, seeds=settings.seed)


def _start(target: Target, task: str, stdout: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM.format(path=sys.path, task=task)],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.DEVNULL,
        cwd=target.settings.root,
        start_new_session=True,
    )


def encode_settings(target: Target, seeds: tuple[str, ...] = ()) -> bytes:
    """Return the settings of *target*, with its server as it was found, for another process."""
    # The server as it was found: an embedded one that was stopped must not be started again.
    url = target.server.url
    plain: dict[str, Any] = {
        **vars(target.settings),
        "alembic_ini": str(target.settings.alembic_ini),
        "user_cache": str(target.settings.user_cache or ""),
        "folder": str(target.settings.folder or ""),
        "sources": {},
        "notes": (),
        "scratch_url": None,
        "application_url": None,
        # What leads to other databases than that of the URL.
        "fleet": None,
        "branch": None,
        "server_home": str(target.settings.server_home or ""),
        "seed": seeds,
        "url": {"parameters": dict(url.parameters), "label": url.label},
    }
    return json.dumps(plain).encode()


def decode_settings(text: bytes | str) -> Settings:
    """Return the settings that `encode_settings` was given."""
    plain: dict[str, Any] = json.loads(text)
    cache, folder, home = (plain.pop(name) for name in ("user_cache", "folder", "server_home"))
    return Settings(
        alembic_ini=Path(plain.pop("alembic_ini")),
        url=DatabaseUrl(**plain.pop("url")),
        user_cache=Path(cache) if cache else None,
        folder=Path(folder) if folder else None,
        server_home=Path(home) if home else None,
        variables=tuple((name, value) for name, value in plain.pop("variables")),
        x=tuple(plain.pop("x")),
        models=tuple(plain.pop("models")),
        seed=tuple(plain.pop("seed")),
        **plain,
    )
