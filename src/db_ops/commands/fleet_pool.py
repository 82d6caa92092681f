"""Processes of ours that work on the databases of a fleet: JSON in, JSON out, a line for each task.

They are forked off this one, which has imported the revisions once for all of them, or started anew
where a fork is not safe. One that is killed loses what it worked on, and nothing else: another one
takes its place.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

from db_ops.builds.worker import isolate
from db_ops.commands.fleet_worker import serve, serve_alone

_PROGRAM = """
import sys
sys.path[:] = {path}
from db_ops.commands.fleet_worker import serve
serve(0, 1)
"""
# What an entry point of the project, or the tasks of Invoke, are imported as.
_DOORS = ("__main__", "tasks")
_Work = tuple[Future[Any], Mapping[str, Any]]


class ProcessLost(Exception):
    """A process has ended before it had answered."""


class CallingProcess(Executor):
    """An executor that does the work at once, where it is called."""

    def submit(self, function: Callable[..., Any], /, *given: Any, **more: Any) -> Future[Any]:
        """Call *function*."""
        future: Future[Any] = Future()
        try:
            future.set_result(function(*given, **more))
        except Exception as error:
            future.set_exception(error)
        return future


@dataclass(eq=False)
class _Process:
    """A process that works; `wait` returns its exit code, or a negative signal."""

    tasks: IO[str]
    answers: IO[str]
    wait: Callable[[], int]
    terminate: Callable[[], None]
    forks: bool = False

    def answer(self, task: Mapping[str, Any]) -> Any:
        """Return what comes of *task*. Raises `ProcessLost`."""
        line = ""
        with suppress(BrokenPipeError):
            self.tasks.write(json.dumps(task) + "\n")
            self.tasks.flush()
            line = self.answers.readline()
        if not line.endswith("\n"):
            code = self.end()
            raise ProcessLost(signal.Signals(-code).name if code < 0 else f"exit code {code}")
        return json.loads(line)

    def end(self) -> int:
        """Let it end, and wait for that."""
        with suppress(BrokenPipeError):
            self.tasks.close()
        self.answers.close()
        return self.wait()


class FleetPool(Executor):
    """An executor for `fleet_worker.work` alone, with *jobs* processes in the folder *root*.

    With *alone*, each of them has each task done by a process of its own, that has imported nothing
    of the project.
    """

    def __init__(self, jobs: int, root: Path, *, alone: bool = False) -> None:
        self._root, self._alone = root, alone
        self._tasks: SimpleQueue[_Work | None] = SimpleQueue()
        self._stopped = False
        # All of them before the first thread, with whose locks a fork could not go on.
        may_fork = _may_fork() and not (alone and _has_imported(root))
        first = [_forked(root, alone) for _ in range(jobs)] if may_fork else [None] * jobs
        self._processes: set[_Process] = {one for one in first if one is not None}
        self._threads = [
            threading.Thread(target=self._feed, args=(one,), name="db_ops-fleet", daemon=True)
            for one in first
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[..., Any], /, *given: Any, **more: Any) -> Future[Any]:
        """Give the task *given* to a process that is free, or will be."""
        future: Future[Any] = Future()
        self._tasks.put((future, given[0]))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes: at once if *cancel_futures*, else when they have nothing to do."""
        self._stopped = cancel_futures
        if cancel_futures:
            for process in tuple(self._processes):
                process.terminate()
        for _ in self._threads:
            self._tasks.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _feed(self, process: _Process | None) -> None:
        while (task := self._tasks.get()) is not None:
            future, told = task
            if self._stopped:
                future.cancel()
                continue
            try:
                if process is None:
                    process = _started(self._root)
                    self._processes.add(process)
                answer = process.answer(told)
                if self._alone and not process.forks:
                    self._processes.discard(process)
                    process.end()
                    process = None
                future.set_result(answer)
            except Exception as error:
                if process is not None:
                    self._processes.discard(process)
                process = None
                future.set_exception(error)
        if process is not None:
            self._processes.discard(process)
            process.end()


def _may_fork() -> bool:
    """Tell whether no thread may hold a lock that nobody in a fork gives back; ours wait."""
    names = {thread.name.partition("-")[0] for thread in threading.enumerate()}
    return sys.platform == "linux" and names <= {"MainThread", "db_ops"}


def _has_imported(root: Path) -> bool:
    """Tell whether a module of the project in *root* is imported here, but for the door to us."""
    loaded = {
        name: getattr(module, "__file__", None) for name, module in tuple(sys.modules.items())
    }
    files = (file or "" for name, file in loaded.items() if name not in _DOORS)
    inside = f"{root}{os.sep}"
    return any(one.startswith(inside) and "-packages" not in one for one in files)


def in_own_process(task: Mapping[str, Any]) -> Any:
    """Do *task* in a process that is started for it. Raises `ProcessLost`."""
    process = _started(Path(task["settings"]["folder"] or "."))
    answer = process.answer(task)
    process.end()
    return answer


def _forked(root: Path, alone: bool) -> _Process:
    theirs, tasks = os.pipe()
    answers, ours = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 sees the threads, and not what they do.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        try:
            isolate(theirs, ours)
            os.chdir(root)
            (serve_alone if alone else serve)(theirs, ours)
        finally:
            os._exit(0)
    os.close(theirs)
    os.close(ours)

    def wait() -> int:
        try:
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        except ChildProcessError:
            # A program may ignore how its children end.
            return 0

    def terminate() -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)

    return _Process(os.fdopen(tasks, "w"), os.fdopen(answers), wait, terminate, alone)


def _started(root: Path) -> _Process:
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM.format(path=sys.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=root,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    return _Process(process.stdin, process.stdout, process.wait, process.terminate)
