"""Index run events by tool

Revises: eb65969f0864
Created: 2026-11-23 20:02:54
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "3b3214044ca3"
down_revision: str | Sequence[str] | None = "eb65969f0864"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    # Running agents append to this table all the time, so the build must not lock it.
    with op.get_context().autocommit_block():
        # The build waits for older transactions to end; nobody waits for it meanwhile.
        op.execute("SET lock_timeout = 0")
        # A failed build leaves an invalid index of this name behind.
        op.drop_index(
            op.f("ix_run_events_tool_id_created_at"),
            table_name="run_events",
            if_exists=True,
            postgresql_concurrently=True,
        )
        op.create_index(
            op.f("ix_run_events_tool_id_created_at"),
            "run_events",
            ["tool_id", "created_at"],
            postgresql_concurrently=True,
            postgresql_where=sa.text("tool_id IS NOT NULL"),
        )
        op.execute("RESET lock_timeout")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        # Gone already if an earlier attempt was interrupted before it was recorded.
        op.drop_index(
            op.f("ix_run_events_tool_id_created_at"),
            table_name="run_events",
            if_exists=True,
            postgresql_concurrently=True,
        )
        op.execute("RESET lock_timeout")
