"""API keys and the agents they open."""

from __future__ import annotations

import enum
import uuid
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, WriteOnlyMapped, mapped_column, relationship

from agent_management_service.models.base import (
    Base,
    CreatedAt,
    Timestamps,
    UUIDPrimaryKey,
    native_enum,
)

if TYPE_CHECKING:
    from agent_management_service.models.agents import Agent
    from agent_management_service.models.runs import Run


class ApiKeyAccess(enum.StrEnum):
    """What a key may do with an agent; to run it includes to read it."""

    READ = "read"
    RUN = "run"


class ApiKey(Timestamps, Base):
    """A credential; only a digest of its secret is stored, so it cannot be shown again."""

    __tablename__ = "api_keys"

    id: Mapped[UUIDPrimaryKey]
    name: Mapped[str]
    prefix: Mapped[str] = mapped_column(
        String(12), unique=True, comment="Start of the secret, shown to find the key again"
    )
    secret_digest: Mapped[bytes] = mapped_column(comment="SHA-256 of the whole secret")
    expires_at: Mapped[datetime | None] = mapped_column(comment="NULL means never")
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    grants: Mapped[list[ApiKeyGrant]] = relationship(
        back_populates="api_key", cascade="all, delete-orphan", passive_deletes=True
    )
    runs: WriteOnlyMapped[Run] = relationship(back_populates="api_key", passive_deletes=True)

    __table_args__ = (
        CheckConstraint("octet_length(secret_digest) = 32", name="secret_digest_is_sha256"),
        # A revoked key gives its name back, so that rotating a key keeps the name.
        Index(
            "uq_api_keys_lower_name",
            text("lower(name)"),
            unique=True,
            postgresql_where=text("revoked_at IS NULL"),
        ),
        {"comment": "Credentials of callers"},
    )


class ApiKeyGrant(CreatedAt, Base):
    """The access of a key to one agent; a key without grants opens nothing."""

    __tablename__ = "api_key_grants"

    api_key_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("api_keys.id", ondelete="CASCADE"), primary_key=True
    )
    agent_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    access: Mapped[ApiKeyAccess] = mapped_column(
        native_enum(ApiKeyAccess, "api_key_access"), server_default=ApiKeyAccess.READ.value
    )

    api_key: Mapped[ApiKey] = relationship(back_populates="grants")
    agent: Mapped[Agent] = relationship(back_populates="api_key_grants")

    __table_args__ = ({"comment": "Which key opens which agent"},)
