"""Create tools and grants

Revises: 405514a6a359
Created: 2026-11-23 19:57:15
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "a9e14cf2a966"
down_revision: str | Sequence[str] | None = "405514a6a359"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "tools",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False, comment="What the model calls it"),
        sa.Column("kind", sa.Enum("builtin", "http", "mcp", name="tool_kind"), nullable=False),
        sa.Column(
            "description",
            sa.Text(),
            nullable=False,
            comment="Written for the model, not for people",
        ),
        sa.Column("endpoint_url", sa.Text(), nullable=True),
        sa.Column(
            "input_schema",
            postgresql.JSONB(),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
            comment="JSON Schema of the arguments",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(kind = 'builtin') = (endpoint_url IS NULL)",
            name=op.f("ck_tools_endpoint_unless_builtin"),
        ),
        sa.CheckConstraint("name ~ '^[A-Za-z0-9_-]+$'", name=op.f("ck_tools_name_is_identifier")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tools")),
        sa.UniqueConstraint("name", name=op.f("uq_tools_name")),
        comment="Tools that agents can call",
    )
    op.create_table(
        "tool_grants",
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("tool_id", sa.Uuid(), nullable=False),
        sa.Column(
            "permission",
            sa.Enum("allow", "ask", name="tool_permission"),
            server_default="ask",
            nullable=False,
            comment="With ask, a person approves each call",
        ),
        sa.Column("max_calls_per_run", sa.Integer(), nullable=True, comment="NULL means no limit"),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "max_calls_per_run > 0", name=op.f("ck_tool_grants_max_calls_per_run_positive")
        ),
        sa.ForeignKeyConstraint(
            ["agent_id"],
            ["agents.id"],
            name=op.f("fk_tool_grants_agent_id_agents"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tool_id"],
            ["tools.id"],
            name=op.f("fk_tool_grants_tool_id_tools"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("agent_id", "tool_id", name=op.f("pk_tool_grants")),
        comment="Which agent may call which tool",
    )
    op.create_index(op.f("ix_tool_grants_tool_id"), "tool_grants", ["tool_id"])


def downgrade() -> None:
    op.drop_table("tool_grants")
    op.drop_table("tools")
    op.execute("DROP TYPE tool_permission")
    op.execute("DROP TYPE tool_kind")
