"""The models of a bookshop."""

from decimal import Decimal

from sqlalchemy import MetaData, Numeric, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={"pk": "pk_%(table_name)s", "uq": "uq_%(table_name)s_%(column_0_name)s"}
    )


class Book(Base):
    __tablename__ = "books"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(unique=True)
    price: Mapped[Decimal] = mapped_column(Numeric(8, 2))


def worth_of_stock(session: Session) -> Decimal:
    """Return the sum of all prices."""
    return session.scalar(select(func.coalesce(func.sum(Book.price), 0))) or Decimal(0)
