"""Alembic's environment: the models of the bookshop, the database of `db_ops`."""

from bookshop import Base

from db_ops.migrations.environment import run_migrations
from db_ops.operations import connect_for_alembic

run_migrations(Base.metadata, connect=connect_for_alembic)
