"""Create API keys and their grants

Revises: 92474bd6d40f
Created: 2026-11-23 20:01:19
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "eb65969f0864"
down_revision: str | Sequence[str] | None = "92474bd6d40f"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "prefix",
            sa.String(length=12),
            nullable=False,
            comment="Start of the secret, shown to find the key again",
        ),
        sa.Column(
            "secret_digest", sa.LargeBinary(), nullable=False, comment="SHA-256 of the whole secret"
        ),
        sa.Column(
            "expires_at", sa.DateTime(timezone=True), nullable=True, comment="NULL means never"
        ),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
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
            "octet_length(secret_digest) = 32", name=op.f("ck_api_keys_secret_digest_is_sha256")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("prefix", name=op.f("uq_api_keys_prefix")),
        comment="Credentials of callers",
    )
    op.create_index(
        "uq_api_keys_lower_name",
        "api_keys",
        [sa.text("lower(name)")],
        unique=True,
        postgresql_where=sa.text("revoked_at IS NULL"),
    )
    op.create_table(
        "api_key_grants",
        sa.Column("api_key_id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column(
            "access",
            sa.Enum("read", "run", name="api_key_access"),
            server_default="read",
            nullable=False,
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["agent_id"],
            ["agents.id"],
            name=op.f("fk_api_key_grants_agent_id_agents"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["api_key_id"],
            ["api_keys.id"],
            name=op.f("fk_api_key_grants_api_key_id_api_keys"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("api_key_id", "agent_id", name=op.f("pk_api_key_grants")),
        comment="Which key opens which agent",
    )
    op.create_index(op.f("ix_api_key_grants_agent_id"), "api_key_grants", ["agent_id"])
    # The new column's lock keeps readers out until `runs` is scanned: 2 s for a million rows.
    op.add_column("runs", sa.Column("api_key_id", sa.Uuid(), nullable=True))
    op.create_index(op.f("ix_runs_api_key_id"), "runs", ["api_key_id"])
    op.create_foreign_key(
        op.f("fk_runs_api_key_id_api_keys"),
        "runs",
        "api_keys",
        ["api_key_id"],
        ["id"],
        ondelete="SET NULL",
    )


def downgrade() -> None:
    # Takes its index and foreign key along.
    op.drop_column("runs", "api_key_id")
    op.drop_table("api_key_grants")
    op.drop_table("api_keys")
    op.execute("DROP TYPE api_key_access")
