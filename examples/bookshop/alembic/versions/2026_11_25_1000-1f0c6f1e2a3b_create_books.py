"""Create books, with one that is always in stock."""

import sqlalchemy as sa
from alembic import op

revision: str = "1f0c6f1e2a3b"
down_revision: str | None = None


def upgrade() -> None:
    books = op.create_table(
        "books",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("price", sa.Numeric(precision=8, scale=2), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_books"),
        sa.UniqueConstraint("title", name="uq_books_title"),
    )
    op.bulk_insert(books, [{"title": "The Manual", "price": 10}])


def downgrade() -> None:
    op.drop_table("books")
