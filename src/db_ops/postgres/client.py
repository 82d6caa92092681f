"""Run the client programs of PostgreSQL on a database, with its secrets in no argument."""

from __future__ import annotations

import re
import signal
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from psycopg2.extensions import make_dsn

from db_ops.settings import DatabaseUrl
from db_ops.settings.environment import variables
from db_ops.settings.keepalives import with_keepalives


def run_client(url: DatabaseUrl, *arguments: str) -> int:
    """Run a program, whose last argument is to be a connection string, and return its exit code.

    Ctrl-C is left to it: there it ends a query, and not the session.
    """
    with (
        _connection(url) as (dsn, secrets),
        _without_interrupts(),
        subprocess.Popen((*arguments, dsn), env={**variables(), **secrets}) as client,
    ):
        try:
            return client.wait()
        except BaseException:
            client.terminate()
            raise


# So many of the last lines of a client may say why it failed.
_KEPT = 12
_OFTEN = 0.5  # seconds


@dataclass
class ClientOutput:
    """What a client has said so far: `exit_code`, and the last lines that are no progress."""

    exit_code: int = 0
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT))

    @property
    def reason(self) -> str:
        """The line that says what is wrong, without the name of the program."""
        errors = (one for one in self.lines if re.search("(?:error|ERROR): ", one))
        line = next(errors, self.lines[-1] if self.lines else f"exit code {self.exit_code}")
        return re.split(r"(?:error|ERROR): +", line)[-1].strip()


def follow_client(
    url: DatabaseUrl,
    program: str,
    *arguments: str,
    on_line: Callable[[str], bool],
    on_pause: Callable[[], None],
    feed: Iterable[bytes] = (),
) -> ClientOutput:
    """Run *program* on the database with *feed* as its input, and follow what it says.

    Each line goes to *on_line*, which tells whether it was progress; *on_pause* is called every
    half second meanwhile. Ends the program if anything is raised.
    """
    said = ClientOutput()

    def read(client: subprocess.Popen[bytes]) -> None:
        assert client.stderr is not None
        for line in client.stderr:
            text = line.decode(errors="replace").rstrip()
            if not on_line(text):
                said.lines.append(text)

    # In English, of which progress is read.
    environment = {k: v for k, v in variables().items() if k not in ("LC_ALL", "LANGUAGE")}
    with (
        _connection(url) as (dsn, secrets),
        subprocess.Popen(
            (program, "-d", dsn, *arguments),
            env={**environment, **secrets, "LC_MESSAGES": "C"},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as client,
    ):
        reader = threading.Thread(target=read, args=(client,), name="db_ops-client", daemon=True)
        reader.start()
        try:
            _feed(client, feed)
            while reader.is_alive():
                reader.join(_OFTEN)
                on_pause()
            said.exit_code = client.wait()
        except BaseException:
            client.terminate()
            raise
    return said


def _feed(client: subprocess.Popen[bytes], parts: Iterable[bytes]) -> None:
    assert client.stdin is not None
    try:
        for part in parts:
            client.stdin.write(part)
    except BrokenPipeError:
        # One that fails reads no further, and says why.
        pass
    finally:
        with suppress(BrokenPipeError):
            client.stdin.close()


@contextmanager
def _connection(url: DatabaseUrl) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield a connection string, and the variables that hold what is secret of the connection.

    Source: libpq documentation, "Environment Variables" and "The Connection Service File".
    """
    secrets = dict(url.secrets)
    given = with_keepalives(url.parameters).items()
    shown = {name: value for name, value in given if name not in secrets}
    password = secrets.pop("password", "")
    environment = {"PGPASSWORD": password} if password else {}
    if not secrets:
        yield make_dsn(**shown), environment
        return
    # Not every parameter has a variable.
    with tempfile.NamedTemporaryFile("w", prefix="db_ops-", encoding="utf-8") as file:
        file.write("[db_ops]\n" + "".join(f"{name}={value}\n" for name, value in secrets.items()))
        file.flush()
        yield make_dsn(**shown, service="db_ops"), environment | {"PGSERVICEFILE": file.name}


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Do nothing on Ctrl-C in a `with` block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    wakeup = signal.set_wakeup_fd(-1)
    # Ignored, it would be ignored in the client, too.
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        signal.set_wakeup_fd(wakeup)
