"""Deployments of agent versions and the schedules that start their runs."""

from __future__ import annotations

import enum
import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, text, true
from sqlalchemy.orm import Mapped, WriteOnlyMapped, mapped_column, relationship

from agent_management_service.models.base import (
    EMPTY_OBJECT,
    Base,
    Timestamps,
    UUIDPrimaryKey,
    native_enum,
)

if TYPE_CHECKING:
    from agent_management_service.models.agents import AgentVersion
    from agent_management_service.models.runs import Run


class DeploymentEnvironment(enum.StrEnum):
    """Where a deployment serves; an agent has at most one live deployment in each."""

    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"


class Deployment(Timestamps, Base):
    """An agent version serving in an environment; it is retired, never deleted, once it has run."""

    __tablename__ = "deployments"

    id: Mapped[UUIDPrimaryKey]
    agent_id: Mapped[uuid.UUID]
    version_number: Mapped[int]
    environment: Mapped[DeploymentEnvironment] = mapped_column(
        native_enum(DeploymentEnvironment, "deployment_environment")
    )
    max_concurrent_runs: Mapped[int] = mapped_column(server_default=text("1"))
    settings: Mapped[dict[str, Any]] = mapped_column(
        server_default=EMPTY_OBJECT, comment="Override the parameters of the version"
    )
    retired_at: Mapped[datetime | None] = mapped_column(comment="NULL while it is live")

    version: Mapped[AgentVersion] = relationship(back_populates="deployments")
    schedules: Mapped[list[Schedule]] = relationship(
        back_populates="deployment", cascade="all, delete-orphan", passive_deletes=True
    )
    # Write-only, because a deployment soon has more runs than fit in memory.
    runs: WriteOnlyMapped[Run] = relationship(back_populates="deployment", passive_deletes="all")

    __table_args__ = (
        ForeignKeyConstraint(
            ["agent_id", "version_number"],
            ["agent_versions.agent_id", "agent_versions.number"],
            ondelete="RESTRICT",
        ),
        CheckConstraint("max_concurrent_runs > 0", name="max_concurrent_runs_positive"),
        Index(None, "agent_id", "version_number"),
        Index(
            "uq_deployments_live",
            "agent_id",
            "environment",
            unique=True,
            postgresql_where=text("retired_at IS NULL"),
        ),
        {"comment": "Agent versions serving, or retired from, an environment"},
    )


class Schedule(Timestamps, Base):
    """A cron expression that starts runs of a deployment, read in a time zone of its own."""

    __tablename__ = "schedules"

    id: Mapped[UUIDPrimaryKey]
    deployment_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("deployments.id", ondelete="CASCADE"), index=True
    )
    cron: Mapped[str]
    time_zone: Mapped[str] = mapped_column(server_default="UTC", comment="IANA name")
    input: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY_OBJECT)
    enabled: Mapped[bool] = mapped_column(server_default=true())
    next_run_at: Mapped[datetime | None] = mapped_column(comment="NULL until first planned")

    deployment: Mapped[Deployment] = relationship(back_populates="schedules")
    runs: WriteOnlyMapped[Run] = relationship(back_populates="schedule", passive_deletes=True)

    __table_args__ = (
        CheckConstraint("cron <> ''", name="cron_not_empty"),
        Index("ix_schedules_due", "next_run_at", postgresql_where=text("enabled")),
        {"comment": "Recurring starts of deployments"},
    )
