"""create books"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = None
branch_labels = ("sales",)
depends_on = None


def upgrade():
    op.create_table(
        "books",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
    )


def downgrade():
    op.drop_table("books")
