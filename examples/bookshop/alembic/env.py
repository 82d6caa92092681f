"""Alembic's environment: the models of the bookshop, the database of `db_ops`."""

from bookshop import Base

from db_ops import run_migrations

run_migrations(Base.metadata)
