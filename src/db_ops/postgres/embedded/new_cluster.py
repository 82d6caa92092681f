"""Create a data directory: with initdb, or as a copy of one that nobody has used yet."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from db_ops.postgres.embedded.account import check_user_exists, run_as
from db_ops.postgres.embedded.cluster import (
    SUPERUSER,
    Cluster,
    cluster_error,
    complaints,
)
from db_ops.postgres.embedded.programs import Programs, shared_folder


def create_cluster(cluster: Cluster, programs: Programs, cache: Path | None) -> None:
    """Create the cluster beside its final place and move it there, so it is whole or absent.

    A new one of the same programs and user that an earlier call has left in the folder *cache*
    is copied, in a sixth of the time of initdb. Copies have one system identifier.
    """
    if cluster.account is None:
        check_user_exists(cluster.directory)
    for left_by_killed_process in cluster.directory.glob(".init-*"):
        shutil.rmtree(left_by_killed_process, ignore_errors=True)
    name = _name_to_keep(cluster, programs, cache)
    with _new_folder(cluster, cluster.directory) as new:
        if name is None or not any(_copy(cluster, kept, new) for kept in _kept(name)):
            _initialize(cluster, new, programs)
            if name is not None:
                _keep(cluster, new, name)
        new.rename(cluster.data)


@contextmanager
def _new_folder(cluster: Cluster, parent: Path) -> Iterator[Path]:
    """Make a folder for the server's user; what is still there at the end is removed."""
    new = Path(tempfile.mkdtemp(prefix=".init-", dir=parent))
    try:
        cluster.give_to_account(new)
        yield new
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _initialize(cluster: Cluster, new: Path, programs: Programs) -> None:
    command = [programs.path("initdb"), "-D", str(new), "-U", SUPERUSER, "--auth=trust"]
    command += ["--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
    if programs.major >= 17:  # letters of all languages, the same on every machine
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    initdb = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **run_as(cluster.account)
    )
    if initdb.returncode != 0:
        raise cluster_error(cluster.directory, f"initdb: {complaints(initdb.stdout)[0]}")


def _name_to_keep(cluster: Cluster, programs: Programs, cache: Path | None) -> Path | None:
    """Return the path of a kept cluster of these programs and this user, without its count."""
    if cache is None:
        return None
    uid = cluster.account.uid if cluster.account else os.geteuid()
    name = f"cluster-{sha256(f'{programs.build()} {uid}'.encode()).hexdigest()[:12]}"
    return (shared_folder() if cluster.account else cache) / name


def _kept(name: Path) -> Iterator[Path]:
    """Yield what is kept and whole: what cleans temporary folders deletes single files."""
    for kept in name.parent.glob(f"{name.name}-*"):
        if kept.name == f"{name.name}-{_count(kept)}":
            yield kept
        else:
            shutil.rmtree(kept, ignore_errors=True)


def _count(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))


def _copy(cluster: Cluster, kept: Path, new: Path) -> bool:
    """Copy a cluster, by blocks that both share where the file system can; False if that failed."""
    copied = subprocess.run(
        ["cp", "-a", f"{kept}/.", new], capture_output=True, **run_as(cluster.account)
    )
    if copied.returncode == 0:
        return True
    for entry in new.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    return False


def _keep(cluster: Cluster, new: Path, name: Path) -> None:
    # A cache that cannot be written, a full disk, or another process that was faster.
    with suppress(OSError):
        name.parent.mkdir(parents=True, exist_ok=True)
        with _new_folder(cluster, name.parent) as copy:
            if _copy(cluster, new, copy):
                copy.rename(f"{name}-{_count(copy)}")
