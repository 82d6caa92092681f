"""What all models share: naming, types, keys and timestamps."""

from __future__ import annotations

import enum
import uuid
from datetime import datetime
from typing import Annotated, Any, ClassVar

from sqlalchemy import DateTime, Enum, MetaData, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# Names chosen here rather than by the server, so that a migration can name what it alters.
NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

EMPTY_OBJECT = text("'{}'::jsonb")
EMPTY_TEXT_ARRAY = text("'{}'::text[]")

UUIDPrimaryKey = Annotated[
    uuid.UUID, mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
]


class Base(DeclarativeBase):
    """Collect every table in one `MetaData` and map Python types to PostgreSQL's."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text,
        datetime: DateTime(timezone=True),
        # Otherwise None would be stored as JSON null, which IS NULL does not find.
        dict[str, Any]: JSONB(none_as_null=True),
        list[str]: ARRAY(Text),
    }


class CreatedAt:
    """Record when a row was inserted; enough for rows that are never updated."""

    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Timestamps(CreatedAt):
    """Record insertion and the last change made through the ORM; plain SQL must set it itself."""

    # Sorted behind the inherited column, which would otherwise come last.
    updated_at: Mapped[datetime] = mapped_column(
        server_default=func.now(), onupdate=func.now(), sort_order=1
    )


def native_enum(members: type[enum.StrEnum], name: str) -> Enum:
    """Return a PostgreSQL enum type that stores the values of *members*, not their names."""
    return Enum(members, name=name, values_callable=lambda cls: [member.value for member in cls])
