"""Agents and the versions of their configuration."""

from __future__ import annotations

import enum
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from agent_management_service.models.base import (
    EMPTY_OBJECT,
    EMPTY_TEXT_ARRAY,
    Base,
    CreatedAt,
    Timestamps,
    UUIDPrimaryKey,
    native_enum,
)

if TYPE_CHECKING:
    from agent_management_service.models.api_keys import ApiKeyGrant
    from agent_management_service.models.deployments import Deployment
    from agent_management_service.models.tools import ToolGrant


class AgentStatus(enum.StrEnum):
    """Stages in the life of an agent; only an active one accepts runs."""

    DRAFT = "draft"
    ACTIVE = "active"
    ARCHIVED = "archived"


class Agent(Timestamps, Base):
    """A named agent; once a version of it was deployed it can be archived but not deleted."""

    __tablename__ = "agents"

    id: Mapped[UUIDPrimaryKey]
    # A slug becomes a DNS label, which holds at most 63 characters.
    slug: Mapped[str] = mapped_column(String(63), comment="Public name, unique whatever its case")
    name: Mapped[str]
    description: Mapped[str | None]
    status: Mapped[AgentStatus] = mapped_column(
        native_enum(AgentStatus, "agent_status"), server_default=AgentStatus.DRAFT.value
    )
    labels: Mapped[list[str]] = mapped_column(server_default=EMPTY_TEXT_ARRAY)

    versions: Mapped[list[AgentVersion]] = relationship(
        back_populates="agent",
        cascade="all, delete-orphan",
        order_by="AgentVersion.number",
        passive_deletes=True,
    )
    tool_grants: Mapped[list[ToolGrant]] = relationship(
        back_populates="agent", cascade="all, delete-orphan", passive_deletes=True
    )
    api_key_grants: Mapped[list[ApiKeyGrant]] = relationship(
        back_populates="agent", cascade="all, delete-orphan", passive_deletes=True
    )

    __table_args__ = (
        CheckConstraint("slug ~ '^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$'", name="slug_is_dns_label"),
        CheckConstraint("name <> ''", name="name_not_empty"),
        Index("uq_agents_lower_slug", text("lower(slug)"), unique=True),
        Index(None, "labels", postgresql_using="gin"),
        {"comment": "Agents, whatever their stage of life"},
    )


class AgentVersion(CreatedAt, Base):
    """One immutable configuration of an agent; a change is a new version, counted per agent."""

    __tablename__ = "agent_versions"

    agent_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True, comment="Counted from 1 for each agent")
    model: Mapped[str] = mapped_column(comment="Identifier of the model at its provider")
    system_prompt: Mapped[str]
    temperature: Mapped[Decimal | None] = mapped_column(
        Numeric(3, 2), comment="NULL leaves it to the provider"
    )
    max_output_tokens: Mapped[int | None]
    parameters: Mapped[dict[str, Any]] = mapped_column(
        server_default=EMPTY_OBJECT, comment="Passed to the provider as they are"
    )

    agent: Mapped[Agent] = relationship(back_populates="versions")
    deployments: Mapped[list[Deployment]] = relationship(
        back_populates="version", passive_deletes="all"
    )

    __table_args__ = (
        CheckConstraint("number > 0", name="number_positive"),
        CheckConstraint("temperature BETWEEN 0 AND 2", name="temperature_in_range"),
        CheckConstraint("max_output_tokens > 0", name="max_output_tokens_positive"),
        {"comment": "Immutable configurations of agents"},
    )
