"""Call a function of the project that writes rows, with a session of SQLAlchemy's."""

from __future__ import annotations

import asyncio
import inspect
import typing
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from db_ops.migrations.env.engine import connection_over
from db_ops.migrations.env.project_function import (
    call_awaiting,
    needed_parameters,
    project_function,
)
from db_ops.migrations.env.runtime import Session, current_session
from db_ops.migrations.project import Project

if TYPE_CHECKING:
    from psycopg2.extensions import connection as DriverConnection
    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncSession


def call_seed(project: Project, driver: DriverConnection, name: str) -> None:
    """Call the function *name*, `module:function`, with a session on *driver*, and commit that.

    The session has the class that the function asks for: that of an extension, as SQLModel's, has
    methods of its own. Without an annotation it is an `AsyncSession` for a coroutine. One without a
    parameter is called without any: engines of the project's own use *driver*, as in a bootstrap.
    Raises what the function, or the import of its module, raises.
    """
    from db_ops.migrations.foreign_env.adoption import env_py_adoption
    from db_ops.migrations.foreign_env.sandbox import env_py_sandbox, outside_event_loop

    with connection_over(driver) as connection:
        session = Session(connection, bootstraps=True, is_known=True)
        token = current_session.set(session)
        try:
            with env_py_adoption(session), env_py_sandbox(project):
                function = project_function(name)
                if inspect.iscoroutinefunction(function):
                    _await_in_statements(connection.engine)
                outside_event_loop(lambda: _call(function, connection.engine))
        finally:
            current_session.reset(token)


def _call(function: Callable[..., Any], engine: Engine) -> None:
    argument = _argument(function, engine)
    if argument is None:
        call_awaiting(function)
        return
    work = getattr(argument, "sync_session", argument)
    try:
        call_awaiting(function, argument)
        work.commit()
    finally:
        work.close()


def _argument(function: Callable[..., Any], engine: Engine) -> Any:
    """Return the session, or the connection, that *function* asks for; None if for nothing."""
    from sqlalchemy import Connection, orm

    for kind in _annotations(function):
        if hasattr(kind, "sync_session_class"):
            return _led_to(engine, kind())
        if issubclass(kind, orm.Session):
            return kind(bind=engine)
        if issubclass(kind, Connection):
            return engine.connect()
    if not needed_parameters(function):
        return None
    if inspect.iscoroutinefunction(function):
        # Needs greenlet, which SQLAlchemy is often installed without.
        from sqlalchemy.ext.asyncio import AsyncSession

        return _led_to(engine, AsyncSession())
    return orm.Session(bind=engine)


def _led_to(engine: Engine, session: AsyncSession) -> AsyncSession:
    # Its work is done by a plain session, and ours needs no event loop.
    session.sync_session.bind = engine
    return session


def _await_in_statements(engine: Engine) -> None:
    """Let each statement await something: an `AsyncConnection` insists on that."""
    from sqlalchemy import event
    from sqlalchemy.exc import MissingGreenlet
    from sqlalchemy.util import await_only

    def before(*arguments: Any) -> None:
        nothing = asyncio.sleep(0)
        try:
            await_only(nothing)
        except MissingGreenlet:
            nothing.close()

    event.listen(engine, "before_cursor_execute", before)


def _annotations(function: Callable[..., Any]) -> tuple[type, ...]:
    """Return the classes that the first parameter of *function* is annotated with."""
    first = next(iter(inspect.signature(function).parameters.values()), None)
    if first is None:
        return ()
    annotation = first.annotation
    # What is imported for type checking only cannot be resolved.
    with suppress(Exception):
        annotation = typing.get_type_hints(function).get(first.name, annotation)
    members = (annotation, *typing.get_args(annotation))
    return tuple(one for one in members if isinstance(one, type))
