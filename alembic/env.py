"""Alembic's environment: the models of this service, the database of `db_ops`."""

from agent_management_service.models import Base
from db_ops import run_migrations

run_migrations(Base.metadata)
