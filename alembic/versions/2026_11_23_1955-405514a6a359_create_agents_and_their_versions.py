"""Create agents and their versions

Revises: nothing
Created: 2026-11-23 19:55:52
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "405514a6a359"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "agents",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column(
            "slug",
            sa.String(length=63),
            nullable=False,
            comment="Public name, unique whatever its case",
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column(
            "status",
            sa.Enum("draft", "active", "archived", name="agent_status"),
            server_default="draft",
            nullable=False,
        ),
        sa.Column(
            "labels",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'::text[]"),
            nullable=False,
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
        sa.CheckConstraint("name <> ''", name=op.f("ck_agents_name_not_empty")),
        sa.CheckConstraint(
            "slug ~ '^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$'", name=op.f("ck_agents_slug_is_dns_label")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agents")),
        comment="Agents, whatever their stage of life",
    )
    op.create_index(op.f("ix_agents_labels"), "agents", ["labels"], postgresql_using="gin")
    op.create_index("uq_agents_lower_slug", "agents", [sa.text("lower(slug)")], unique=True)
    op.create_table(
        "agent_versions",
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="Counted from 1 for each agent"),
        sa.Column(
            "model", sa.Text(), nullable=False, comment="Identifier of the model at its provider"
        ),
        sa.Column("system_prompt", sa.Text(), nullable=False),
        sa.Column(
            "temperature",
            sa.Numeric(precision=3, scale=2),
            nullable=True,
            comment="NULL leaves it to the provider",
        ),
        sa.Column("max_output_tokens", sa.Integer(), nullable=True),
        sa.Column(
            "parameters",
            postgresql.JSONB(),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
            comment="Passed to the provider as they are",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "max_output_tokens > 0", name=op.f("ck_agent_versions_max_output_tokens_positive")
        ),
        sa.CheckConstraint("number > 0", name=op.f("ck_agent_versions_number_positive")),
        sa.CheckConstraint(
            "temperature BETWEEN 0 AND 2", name=op.f("ck_agent_versions_temperature_in_range")
        ),
        sa.ForeignKeyConstraint(
            ["agent_id"],
            ["agents.id"],
            name=op.f("fk_agent_versions_agent_id_agents"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("agent_id", "number", name=op.f("pk_agent_versions")),
        comment="Immutable configurations of agents",
    )


def downgrade() -> None:
    op.drop_table("agent_versions")
    op.drop_table("agents")
    op.execute("DROP TYPE agent_status")
