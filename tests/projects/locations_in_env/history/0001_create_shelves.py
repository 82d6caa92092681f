"""create shelves"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "shelves",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("room", sa.String(40), nullable=False),
    )


def downgrade():
    op.drop_table("shelves")
