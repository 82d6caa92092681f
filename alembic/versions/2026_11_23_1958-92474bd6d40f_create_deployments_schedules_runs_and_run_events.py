"""Create deployments, schedules, runs and run events

Revises: a9e14cf2a966
Created: 2026-11-23 19:58:09
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "92474bd6d40f"
down_revision: str | Sequence[str] | None = "a9e14cf2a966"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "deployments",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column(
            "environment",
            sa.Enum("development", "staging", "production", name="deployment_environment"),
            nullable=False,
        ),
        sa.Column("max_concurrent_runs", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "settings",
            postgresql.JSONB(),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
            comment="Override the parameters of the version",
        ),
        sa.Column(
            "retired_at", sa.DateTime(timezone=True), nullable=True, comment="NULL while it is live"
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
            "max_concurrent_runs > 0", name=op.f("ck_deployments_max_concurrent_runs_positive")
        ),
        sa.ForeignKeyConstraint(
            ["agent_id", "version_number"],
            ["agent_versions.agent_id", "agent_versions.number"],
            name=op.f("fk_deployments_agent_id_version_number_agent_versions"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployments")),
        comment="Agent versions serving, or retired from, an environment",
    )
    op.create_index(
        op.f("ix_deployments_agent_id_version_number"),
        "deployments",
        ["agent_id", "version_number"],
    )
    op.create_index(
        "uq_deployments_live",
        "deployments",
        ["agent_id", "environment"],
        unique=True,
        postgresql_where=sa.text("retired_at IS NULL"),
    )
    op.create_table(
        "schedules",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.Column("cron", sa.Text(), nullable=False),
        sa.Column(
            "time_zone", sa.Text(), server_default="UTC", nullable=False, comment="IANA name"
        ),
        sa.Column(
            "input",
            postgresql.JSONB(),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "next_run_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="NULL until first planned",
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
        sa.CheckConstraint("cron <> ''", name=op.f("ck_schedules_cron_not_empty")),
        sa.ForeignKeyConstraint(
            ["deployment_id"],
            ["deployments.id"],
            name=op.f("fk_schedules_deployment_id_deployments"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
        comment="Recurring starts of deployments",
    )
    op.create_index(op.f("ix_schedules_deployment_id"), "schedules", ["deployment_id"])
    op.create_index(
        "ix_schedules_due",
        "schedules",
        ["next_run_at"],
        postgresql_where=sa.text("enabled"),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.Column(
            "parent_id", sa.Uuid(), nullable=True, comment="The run that delegated to this one"
        ),
        sa.Column("schedule_id", sa.Uuid(), nullable=True),
        sa.Column(
            "trigger", sa.Enum("api", "schedule", "parent", name="run_trigger"), nullable=False
        ),
        sa.Column(
            "status",
            sa.Enum("queued", "running", "succeeded", "failed", "cancelled", name="run_status"),
            server_default="queued",
            nullable=False,
        ),
        sa.Column("idempotency_key", sa.Text(), nullable=True, comment="Chosen by the caller"),
        sa.Column(
            "input",
            postgresql.JSONB(),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("output", postgresql.JSONB(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("prompt_tokens", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "completion_tokens", sa.BigInteger(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "tokens_total",
            sa.BigInteger(),
            sa.Computed("prompt_tokens + completion_tokens", persisted=True),
            nullable=False,
        ),
        sa.Column(
            "cost_usd",
            sa.Numeric(precision=12, scale=6),
            server_default=sa.text("0"),
            nullable=False,
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
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
            "(status IN ('queued', 'running')) = (finished_at IS NULL)",
            name=op.f("ck_runs_finished_at_if_final"),
        ),
        sa.CheckConstraint(
            "error IS NULL OR status = 'failed'", name=op.f("ck_runs_error_only_if_failed")
        ),
        sa.CheckConstraint("cost_usd >= 0", name=op.f("ck_runs_cost_usd_not_negative")),
        sa.CheckConstraint("parent_id <> id", name=op.f("ck_runs_not_its_own_parent")),
        sa.CheckConstraint(
            "prompt_tokens >= 0 AND completion_tokens >= 0",
            name=op.f("ck_runs_tokens_not_negative"),
        ),
        sa.CheckConstraint(
            "started_at <= finished_at", name=op.f("ck_runs_started_before_finished")
        ),
        sa.ForeignKeyConstraint(
            ["deployment_id"],
            ["deployments.id"],
            name=op.f("fk_runs_deployment_id_deployments"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["runs.id"], name=op.f("fk_runs_parent_id_runs"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"],
            ["schedules.id"],
            name=op.f("fk_runs_schedule_id_schedules"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sa.UniqueConstraint(
            "deployment_id", "idempotency_key", name=op.f("uq_runs_deployment_id_idempotency_key")
        ),
        comment="Executions of deployments, with their cost",
    )
    op.create_index(
        op.f("ix_runs_deployment_id_created_at"),
        "runs",
        ["deployment_id", "created_at"],
    )
    op.create_index(op.f("ix_runs_parent_id"), "runs", ["parent_id"])
    op.create_index(op.f("ix_runs_schedule_id"), "runs", ["schedule_id"])
    op.create_index(
        "ix_runs_unfinished",
        "runs",
        ["created_at"],
        postgresql_where=sa.text("status IN ('queued', 'running')"),
    )
    op.create_table(
        "run_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column(
            "position", sa.Integer(), nullable=False, comment="Counted from 1 within the run"
        ),
        sa.Column(
            "kind",
            sa.Enum("message", "tool_call", "tool_result", "error", name="run_event_kind"),
            nullable=False,
        ),
        sa.Column("tool_id", sa.Uuid(), nullable=True),
        sa.Column(
            "payload",
            postgresql.JSONB(),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("position > 0", name=op.f("ck_run_events_position_positive")),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_run_events_run_id_runs"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tool_id"], ["tools.id"], name=op.f("fk_run_events_tool_id_tools"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run_events")),
        sa.UniqueConstraint("run_id", "position", name=op.f("uq_run_events_run_id_position")),
        comment="What happened in each run, in order",
    )


def downgrade() -> None:
    op.drop_table("run_events")
    op.drop_table("runs")
    op.drop_table("schedules")
    op.drop_table("deployments")
    op.execute("DROP TYPE run_event_kind")
    op.execute("DROP TYPE run_status")
    op.execute("DROP TYPE run_trigger")
    op.execute("DROP TYPE deployment_environment")
