"""The part of `base.sql` that models can say, as somebody would write it."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

metadata = sa.MetaData()
state = pg.ENUM("draft", "live", "gone, really", name="state", metadata=metadata)
pg.ENUM("one", "two", name="unused", metadata=metadata)
pg.DOMAIN(
    "positive",
    sa.Integer,
    default=sa.text("1"),
    constraint_name="is_positive",
    check=sa.text("VALUE > 0"),
    metadata=metadata,
)
pg.DOMAIN("slug", sa.Text, not_null=True, metadata=metadata)
ticket = sa.Sequence("ticket", start=10, increment=5, cache=2, metadata=metadata)


class Point(sa.types.UserDefinedType[object]):
    """A composite type, which only the migrations can make."""

    cache_ok = True

    def get_col_spec(self) -> str:
        return "point_3d"


now = sa.text("now()")
agents = sa.Table(
    "agents",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(50), nullable=False, index=True),
    sa.Column("email", sa.Text, comment="where to write"),
    sa.Column("nickname", sa.Text(collation="C")),
    sa.Column("state", state, nullable=False, server_default="draft"),
    sa.Column("rate", sa.Numeric(10, 2), nullable=False, server_default=sa.text("1.5")),
    sa.Column("age", sa.Integer),
    sa.Column("settings", pg.JSONB, nullable=False, server_default='{"a": 1}'),
    sa.Column("tags", pg.ARRAY(sa.Text), nullable=False, server_default="{}"),
    sa.Column("created_at", sa.DateTime(True), nullable=False, server_default=now),
    sa.Column("expires_at", sa.DateTime(True), server_default="2030-01-01 00:00:00+00"),
    sa.Column("full_name", sa.Text, sa.Computed("name || ' ' || email", persisted=True)),
    sa.Column("number", sa.BigInteger, sa.Identity()),
    sa.Column("place", Point),
    sa.UniqueConstraint("email", name="uq_agents_email"),
    sa.CheckConstraint("rate > 0", name="ck_agents_rate", comment="no free work"),
    sa.CheckConstraint("age >= 0", name="ck_agents_age"),
    sa.CheckConstraint("name IN ('x', 'y', 'z') OR length(name) > 1", name="ck_agents_kind"),
    comment="who works",
)
sa.Index("ix_agents_lower", sa.func.lower(agents.c.name))
sa.Index("ix_agents_live", agents.c.created_at, postgresql_where=agents.c.state == "live")
sa.Index("ix_agents_state", agents.c.state, postgresql_include=["name"])
sa.Index("uq_agents_nickname", agents.c.nickname, unique=True)
sa.Index("ix_agents_tags", agents.c.tags, postgresql_using="gin")
sa.Index(
    "ix_agents_trgm",
    agents.c.name,
    postgresql_using="gin",
    postgresql_ops={"name": "gin_trgm_ops"},
)
sa.Table(
    'Odd "Name',
    metadata,
    sa.Column("Some Column", sa.Integer),
    sa.CheckConstraint('"Some Column" > 0', name="Odd check"),
)
runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("agent_id", sa.Integer, nullable=False),
    sa.Column("parent_id", sa.BigInteger),
    sa.Column("ticket", sa.BigInteger, nullable=False, server_default=ticket.next_value()),
    sa.Column("during", pg.TSTZRANGE, nullable=False),
    sa.Column("note", sa.Text),
    sa.Column("code", sa.String(10)),
    sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name="fk_runs_agent", ondelete="CASCADE"),
    sa.ForeignKeyConstraint(["parent_id"], ["runs.id"], name="fk_runs_parent", deferrable=True),
    pg.ExcludeConstraint(("during", "&&"), name="no_overlap"),
    sa.CheckConstraint("note <> ''", name="ck_runs_note", postgresql_not_valid=True),
)
sa.Index("ix_runs_agent", runs.c.agent_id)
sa.Table(
    "invoices",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("amount", sa.Numeric, nullable=False),
    sa.Column("owner", sa.Text, nullable=False, server_default=sa.text("CURRENT_USER")),
    schema="billing",
)
events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.BigInteger, nullable=False),
    sa.Column("at", sa.DateTime(True), nullable=False),
    sa.Column("kind", sa.Text),
    postgresql_partition_by="RANGE (at)",
)
sa.Index("ix_events_kind", events.c.kind)
sa.Table("base_class", metadata, sa.Column("id", sa.Integer), sa.Column("label", sa.Text))
sa.Table(
    "derived_class",
    metadata,
    sa.Column("extra", sa.Text),
    postgresql_inherits="base_class",
)
