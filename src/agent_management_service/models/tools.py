"""Tools and the agents that may call them."""

from __future__ import annotations

import enum
import uuid
from typing import TYPE_CHECKING, Any

from sqlalchemy import CheckConstraint, ForeignKey, String
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
    from agent_management_service.models.agents import Agent


class ToolKind(enum.StrEnum):
    """Ways to reach a tool; a built-in one runs inside the service."""

    BUILTIN = "builtin"
    HTTP = "http"
    MCP = "mcp"


class ToolPermission(enum.StrEnum):
    """What a grant allows; to deny a tool is to have no grant."""

    ALLOW = "allow"
    ASK = "ask"


class Tool(Timestamps, Base):
    """Something an agent can call; it cannot be deleted while an agent holds a grant for it."""

    __tablename__ = "tools"

    id: Mapped[UUIDPrimaryKey]
    name: Mapped[str] = mapped_column(String(64), unique=True, comment="What the model calls it")
    kind: Mapped[ToolKind] = mapped_column(native_enum(ToolKind, "tool_kind"))
    description: Mapped[str] = mapped_column(comment="Written for the model, not for people")
    endpoint_url: Mapped[str | None]
    input_schema: Mapped[dict[str, Any]] = mapped_column(
        server_default=EMPTY_OBJECT, comment="JSON Schema of the arguments"
    )

    grants: Mapped[list[ToolGrant]] = relationship(back_populates="tool", passive_deletes="all")

    __table_args__ = (
        CheckConstraint("name ~ '^[A-Za-z0-9_-]+$'", name="name_is_identifier"),
        CheckConstraint(
            "(kind = 'builtin') = (endpoint_url IS NULL)", name="endpoint_unless_builtin"
        ),
        {"comment": "Tools that agents can call"},
    )


class ToolGrant(CreatedAt, Base):
    """The right of every version of an agent to call a tool."""

    __tablename__ = "tool_grants"

    agent_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True
    )
    tool_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("tools.id", ondelete="RESTRICT"), primary_key=True, index=True
    )
    permission: Mapped[ToolPermission] = mapped_column(
        native_enum(ToolPermission, "tool_permission"),
        server_default=ToolPermission.ASK.value,
        comment="With ask, a person approves each call",
    )
    max_calls_per_run: Mapped[int | None] = mapped_column(comment="NULL means no limit")

    agent: Mapped[Agent] = relationship(back_populates="tool_grants")
    tool: Mapped[Tool] = relationship(back_populates="grants")

    __table_args__ = (
        CheckConstraint("max_calls_per_run > 0", name="max_calls_per_run_positive"),
        {"comment": "Which agent may call which tool"},
    )
