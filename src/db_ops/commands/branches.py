"""List the databases of git branches; drop those whose branch is gone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from db_ops.errors import UsageError
from db_ops.frozen_data import replace
from db_ops.postgres.connection.server import Server
from db_ops.postgres.databases import all_comments, database_exists, database_size, drop_database
from db_ops.results import BranchDatabase, Branches, OnEvent, ignore
from db_ops.settings import Settings
from db_ops.settings.branch_database import COMMENT, BranchDatabases, ignored_because
from db_ops.target.create import locked_maintenance_session
from db_ops.target.guard import check_intent, guarded_drop
from db_ops.target.open_server import open_server

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection


def branches(settings: Settings, *, prune: bool = False, on_event: OnEvent = ignore) -> Branches:
    """List the databases that branches and working trees have beside that of the default branch.

    With *prune*, drop those first whose branch is gone; those of other repositories stay. Raises
    `UsageError` where all branches have one database, `Refused` for one that is not marked as
    development.
    """
    server = open_server(settings, "branches", on_event)
    databases = server.settings.branch
    if databases is None:
        reason = ignored_because(server.settings) or "there is one database for all branches"
        hint = "see what is in effect: db-ops doctor"
        if not server.settings.database_per_branch:
            hint = "set database_per_branch = true there, in pyproject.toml; then: db-ops branches"
        raise UsageError(f"branches: {reason}", hint)
    dropped: list[str] = []
    if prune:
        with server.maintenance() as connection:
            gone = [one.database for one in _found(databases, connection) if one.is_gone]
        for name in gone:
            of_branch = replace(server, url=server.url.with_database(name))
            check_intent(of_branch, None)
            with locked_maintenance_session(of_branch) as connection:
                # The branch may be there again by now.
                if any(
                    one.database == name and one.is_gone for one in _found(databases, connection)
                ):
                    _drop(of_branch, connection)
                    dropped.append(name)
    with server.maintenance() as connection:
        found = tuple(_found(databases, connection))
    return Branches(server.url.server, found, tuple(dropped))


def _drop(server: Server, connection: Connection) -> None:
    with guarded_drop(server, connection, None):
        drop_database(server, connection)


def _found(databases: BranchDatabases, connection: Connection) -> Iterator[BranchDatabase]:
    checkout, living = databases.checkout, databases.living()
    trees = checkout.working_trees_of_branches()
    current = databases.current
    if database_exists(connection, databases.base):
        size = database_size(connection, databases.base)
        yield BranchDatabase(
            database=databases.base,
            branch=databases.default,
            working_tree=trees.get(databases.default),
            repository=str(checkout.common),
            bytes=size,
            made=None,
            is_current=current == databases.base,
            is_gone=False,
        )
    for name, comment in all_comments(connection):
        facts = _facts(comment)
        if not databases.is_of(name) or not (facts or name in living):
            continue
        repository = str(facts.get("repository", checkout.common))
        key = living.get(name, str(facts.get("branch", "")))
        yield BranchDatabase(
            database=name,
            branch=key,
            working_tree=trees.get(key),
            repository=repository,
            bytes=database_size(connection, name),
            made=facts.get("made"),
            is_current=name == current,
            is_gone=name not in living and repository == str(checkout.common),
        )


def _facts(comment: str) -> Mapping[str, Any]:
    for line in comment.splitlines():
        if line.startswith(COMMENT):
            try:
                facts = json.loads(line.removeprefix(COMMENT))
            except ValueError:
                return {}
            return facts if isinstance(facts, dict) else {}
    return {}
