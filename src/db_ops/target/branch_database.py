"""The database of a new branch: a copy, with its data, of that of the branch it was made from."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from db_ops.errors import DatabaseMissing, ParentInUse, ParentProtected, TemplateInUse
from db_ops.frozen_data import replace
from db_ops.postgres.databases import database_exists, database_size
from db_ops.postgres.environment_mark import read_mark
from db_ops.postgres.own_databases import scratch_database
from db_ops.postgres.replacement import rename_to_target
from db_ops.results import BranchCopied, BranchNotCopied, Origin
from db_ops.settings.branch_database import BranchDatabases
from db_ops.settings.git_checkout import GitCheckout, git
from db_ops.target.create import locked_maintenance_session
from db_ops.target.target import Target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

_CREATED_FROM = re.compile(r"\tbranch: Created from (?P<start>.+)$")
_MOVED = re.compile(r" (?P<at>\d+) [+-]\d{4}\tcheckout: moving from (?P<old>\S+) to (?P<new>\S+)$")
_AT = re.compile(r"> (?P<at>\d+) [+-]\d{4}\t")
_PREFIXES = ("refs/heads/", "refs/remotes/")
# Each candidate costs a process of git's.
_MOST_COMPARED = 20


@contextmanager
def target_or_copy(target: Target) -> Iterator[Connection]:
    """Connect to the target for a `with` block; that of a new branch is made first.

    Raises `DatabaseMissing` where there is nothing to copy, and what `copy_parent` raises.
    """
    with target.server.target_if_exists() as connection:
        if connection is not None:
            yield connection
            return
    if target.settings.branch is None:
        raise DatabaseMissing(target.location)
    with locked_maintenance_session(target.server) as maintenance:
        exists = database_exists(maintenance, target.server.url.database)
        if not exists and copy_parent(target, maintenance) is None:
            raise DatabaseMissing(target.location)
    with target.server.target() as connection:
        yield connection


def copy_parent(target: Target, maintenance: Connection) -> Origin | None:
    """Make the target as a copy of the database of the branch that this one was made from.

    None where no branch that it goes back to has one, or none that this checkout's revisions can
    upgrade. *maintenance* holds the lock on creating the target. Raises `ParentInUse`,
    `ParentProtected`.
    """
    databases = target.settings.branch
    if databases is None or databases.checkout.key == databases.default:
        return None
    started = time.monotonic()
    parent = _parent_with_database(databases, maintenance)
    if parent is None:
        return None
    branch, name = parent
    server = target.server
    there = target.at(replace(server, url=server.url.with_database(name)))
    with there.server.target() as connection:
        position = there.position(there.recorded_on(connection), connection)
    if position.unknown and not position.ahead:
        server.on_event(BranchNotCopied(server.location, branch, name, position.unknown))
        return None
    mark = read_mark(maintenance, name)
    if mark not in (None, target.settings.environment):
        raise ParentProtected(server.location, branch, name, mark)
    size = database_size(maintenance, name)
    server.on_event(BranchCopied(server.location, branch, name, size))
    try:
        with scratch_database(server, maintenance, template=name) as copy:
            rename_to_target(server, maintenance, copy)
    except TemplateInUse as error:
        raise ParentInUse(server.location, branch, name, error.holders, error.remedy) from None
    return Origin("branch", time.monotonic() - started, name)


def _parent_with_database(
    databases: BranchDatabases, connection: Connection
) -> tuple[str, str] | None:
    """Return the nearest branch that this one goes back to and has a database, with its name."""
    key, seen = databases.checkout.key, {databases.checkout.key}
    while True:
        key = parent_of(databases.checkout, key) or databases.default
        if key in seen:
            key = databases.default
        name = databases.name(key)
        if database_exists(connection, name):
            return key, name
        if key == databases.default:
            return None
        seen.add(key)


def parent_of(checkout: GitCheckout, key: str) -> str | None:
    """Return the branch that *key* was made from: as the reflog tells, or else the nearest one."""
    if key.startswith(":"):
        return _last_branch(checkout) or _nearest(checkout, "HEAD", key)
    created = _CREATED_FROM.search(checkout.creation(key))
    if created:
        start = created["start"]
        born = _AT.search(checkout.creation(key))
        if start == "HEAD" and born:
            start = _branch_at(checkout, key, int(born["at"])) or start
        for name in (start, *_shortened(start)):
            if name != key and checkout.has_branch(name):
                return name
    return _nearest(checkout, f"refs/heads/{key}", key)


def _shortened(start: str) -> tuple[str, ...]:
    """Return the names of branches that the start of another one may have been."""
    for prefix in _PREFIXES:
        if start.startswith(prefix):
            start = start.removeprefix(prefix)
            break
    return start, start.partition("/")[2]


def _moves(checkout: GitCheckout) -> Iterator[re.Match[str]]:
    return filter(None, map(_MOVED.search, checkout.movements()))


def _branch_at(checkout: GitCheckout, key: str, at: int) -> str | None:
    """Return the branch that was checked out when *key* was made."""
    last = None
    for move in _moves(checkout):
        if int(move["at"]) > at or (int(move["at"]) == at and move["new"] == key):
            return move["old"]
        last = move["new"]
    return last or checkout.branch


def _last_branch(checkout: GitCheckout) -> str | None:
    """Return the branch that was checked out last before HEAD was detached."""
    for move in reversed(list(_moves(checkout))):
        for name in (move["new"], move["old"]):
            if checkout.has_branch(name):
                return name
    return None


def _nearest(checkout: GitCheckout, commit: str, key: str) -> str | None:
    """Return the branch that lacks the fewest of the commits of *commit*, and adds the fewest."""
    known = [name for name, _ in checkout.configured if checkout.has_branch(name)]
    default = (checkout.default_branch,) if checkout.default_branch else ()
    found: list[tuple[int, int, str]] = []
    for name in dict.fromkeys((*default, *known[-_MOST_COMPARED:])):
        if name == key:
            continue
        said = git(checkout, "rev-list", "--left-right", "--count", f"{commit}...refs/heads/{name}")
        if said:
            lacks, adds = map(int, said.split())
            found.append((lacks, adds, name))
    # `min` keeps the default branch, which comes first, among equals.
    return min(found, key=lambda one: one[:2])[2] if found else None
