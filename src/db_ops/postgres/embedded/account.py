"""The operating-system user that runs the embedded server: PostgreSQL refuses root."""

from __future__ import annotations

import os
import pwd
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db_ops.errors import EmbeddedServerFailed

_READ, _ENTER = 4, 1


@dataclass(frozen=True)
class Account:
    """An unprivileged user that root runs the server as."""

    uid: int
    gid: int

    def can_enter(self, folder: Path) -> bool:
        """Tell whether this user may enter *folder*; parts that do not exist yet do not count."""
        return all(self._may(_ENTER, step) for step in (folder, *folder.parents) if step.exists())

    def may_read(self, path: Path) -> bool:
        return self.can_enter(path.parent) and self._may(_READ, path)

    def _may(self, wanted: int, path: Path) -> bool:
        status = path.stat()
        owner = status.st_uid == self.uid
        shift = 6 if owner else 3 if status.st_gid == self.gid else 0
        return status.st_mode >> shift & wanted == wanted


def account_for(home: Path) -> Account | None:
    """Return the user to run the server in *home* as, or None to run it as ourselves.

    Root takes the owner of the cluster, of *home* or of the folder above, so that root (`sudo`, a
    container) and the user can take turns on one checkout. A project of root's own, or of a user
    whom this machine does not know (a bind mount), gets `nobody`.
    """
    if os.geteuid() != 0:
        return None
    nearest = next(folder for folder in home.parents if folder.exists())
    places = (*home.glob("pg*/PG_VERSION"), home, nearest)
    uids = (place.stat().st_uid for place in places if place.exists())
    owner = next((uid for uid in uids if uid != 0), None)
    with suppress(KeyError):
        if owner is not None:
            entry = pwd.getpwuid(owner)
            return Account(entry.pw_uid, entry.pw_gid)
    with suppress(KeyError):
        entry = pwd.getpwnam("nobody")
        return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedServerFailed(
        str(home),
        "PostgreSQL does not run as root, and there is no user nobody",
        "run the command as another user, or set DATABASE_URL",
    )


def run_as(account: Account | None) -> dict[str, Any]:
    """Return the options of `subprocess` that run PostgreSQL's programs as *account*.

    Variables that would change the cluster or the language of its messages are left out.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PG", "LC_")) and name not in ("LANG", "LANGUAGE")
    }
    options: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "env": {**environment, "LC_ALL": "C"},
        "cwd": "/",  # ours may be closed to the account, or be deleted later
    }
    if account is not None:
        options |= {"user": account.uid, "group": account.gid, "extra_groups": ()}
    return options


def check_user_exists(home: Path) -> None:
    """Refuse to go on as a user without a passwd entry, as `docker run --user 1234` makes them.

    initdb looks the user up before anything else, whatever user name it is told to use.
    """
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        raise EmbeddedServerFailed(
            str(home),
            f"initdb does not run as user {os.geteuid()}, who is not in /etc/passwd",
            f"add user {os.geteuid()} to /etc/passwd (in a container: useradd), "
            "run the command as another user, or set DATABASE_URL",
        ) from None


def make_folder(folder: Path) -> None:
    """Create *folder* and what is missing above it, each given to the owner of the one above.

    What root makes inside a user's checkout belongs to that user, and whatever root's umask is, the
    account that runs the server can pass.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    if os.geteuid() == 0:
        folder.chmod(0o755)
    change_owner(folder)


def change_owner(path: Path) -> None:
    """Give *path*, if root has made it, to the owner of the folder that it is in."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
