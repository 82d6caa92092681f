"""Runs and the events that tell what happened in them."""

from __future__ import annotations

import enum
import uuid
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    ForeignKey,
    Identity,
    Index,
    Numeric,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from agent_management_service.models.base import (
    EMPTY_OBJECT,
    Base,
    CreatedAt,
    Timestamps,
    UUIDPrimaryKey,
    native_enum,
)

if TYPE_CHECKING:
    from agent_management_service.models.api_keys import ApiKey
    from agent_management_service.models.deployments import Deployment, Schedule
    from agent_management_service.models.tools import Tool


class RunStatus(enum.StrEnum):
    """Stages of a run; succeeded, failed and cancelled are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class RunTrigger(enum.StrEnum):
    """What started a run; the answer outlives the key, schedule or parent itself."""

    API = "api"
    SCHEDULE = "schedule"
    PARENT = "parent"


class RunEventKind(enum.StrEnum):
    """What an event reports."""

    MESSAGE = "message"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    ERROR = "error"


class Run(Timestamps, Base):
    """One execution of a deployment; also the billing record, so it keeps its deployment alive."""

    __tablename__ = "runs"

    id: Mapped[UUIDPrimaryKey]
    deployment_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("deployments.id", ondelete="RESTRICT")
    )
    parent_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("runs.id", ondelete="SET NULL"),
        index=True,
        comment="The run that delegated to this one",
    )
    schedule_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("schedules.id", ondelete="SET NULL"), index=True
    )
    api_key_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("api_keys.id", ondelete="SET NULL"), index=True
    )
    trigger: Mapped[RunTrigger] = mapped_column(native_enum(RunTrigger, "run_trigger"))
    status: Mapped[RunStatus] = mapped_column(
        native_enum(RunStatus, "run_status"), server_default=RunStatus.QUEUED.value
    )
    idempotency_key: Mapped[str | None] = mapped_column(comment="Chosen by the caller")
    input: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY_OBJECT)
    output: Mapped[dict[str, Any] | None]
    error: Mapped[str | None]
    prompt_tokens: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    completion_tokens: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    tokens_total: Mapped[int] = mapped_column(
        BigInteger, Computed("prompt_tokens + completion_tokens", persisted=True)
    )
    cost_usd: Mapped[Decimal] = mapped_column(Numeric(12, 6), server_default=text("0"))
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    deployment: Mapped[Deployment] = relationship(back_populates="runs")
    parent: Mapped[Run | None] = relationship(back_populates="children", remote_side="Run.id")
    children: Mapped[list[Run]] = relationship(back_populates="parent", passive_deletes=True)
    schedule: Mapped[Schedule | None] = relationship(back_populates="runs")
    api_key: Mapped[ApiKey | None] = relationship(back_populates="runs")
    events: Mapped[list[RunEvent]] = relationship(
        back_populates="run",
        cascade="all, delete-orphan",
        order_by="RunEvent.position",
        passive_deletes=True,
    )

    __table_args__ = (
        UniqueConstraint("deployment_id", "idempotency_key"),
        CheckConstraint("parent_id <> id", name="not_its_own_parent"),
        CheckConstraint(
            "prompt_tokens >= 0 AND completion_tokens >= 0", name="tokens_not_negative"
        ),
        CheckConstraint("cost_usd >= 0", name="cost_usd_not_negative"),
        CheckConstraint("error IS NULL OR status = 'failed'", name="error_only_if_failed"),
        CheckConstraint(
            "(status IN ('queued', 'running')) = (finished_at IS NULL)", name="finished_at_if_final"
        ),
        CheckConstraint("started_at <= finished_at", name="started_before_finished"),
        Index(None, "deployment_id", "created_at"),
        # Few runs are unfinished, and workers look for nothing else.
        Index(
            "ix_runs_unfinished",
            "created_at",
            postgresql_where=text("status IN ('queued', 'running')"),
        ),
        {"comment": "Executions of deployments, with their cost"},
    )


class RunEvent(CreatedAt, Base):
    """One step of a run, append-only; it survives the tool that it refers to."""

    __tablename__ = "run_events"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    run_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(comment="Counted from 1 within the run")
    kind: Mapped[RunEventKind] = mapped_column(native_enum(RunEventKind, "run_event_kind"))
    tool_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("tools.id", ondelete="SET NULL"))
    payload: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY_OBJECT)

    run: Mapped[Run] = relationship(back_populates="events")
    tool: Mapped[Tool | None] = relationship()

    __table_args__ = (
        UniqueConstraint("run_id", "position"),
        CheckConstraint("position > 0", name="position_positive"),
        # Most events are messages and name no tool.
        Index(None, "tool_id", "created_at", postgresql_where=text("tool_id IS NOT NULL")),
        {"comment": "What happened in each run, in order"},
    )
