"""Changes of tables, constraints, indexes, sequences, partitions, extended statistics."""

from __future__ import annotations

from tests.support.changes.case import Case, case

_SQL_ONLY = False

_TABLES = (
    case(
        "table added",
        "CREATE TABLE extra (id integer PRIMARY KEY, n integer UNIQUE); CREATE INDEX ON extra (n)",
        "table public.extra",
    ),
    case(
        "table dropped",
        "DROP TABLE base_class CASCADE",
        "table public.base_class",
        "table public.derived_class",
    ),
    case(
        "table with everything dropped",
        "DROP TABLE billing.invoices CASCADE",
        "table billing.invoices",
        "view public.guarded",
    ),
    case(
        "table renamed",
        "ALTER TABLE derived_class RENAME TO child_class",
        "table public.child_class",
        "table public.derived_class",
    ),
    case(
        "table moved to another schema",
        "ALTER TABLE derived_class SET SCHEMA spare",
        "table public.derived_class",
        "table spare.derived_class",
    ),
    case(
        "table comment changed",
        "COMMENT ON TABLE agents IS 'others'",
        "table public.agents: comment",
    ),
    case(
        "table comment removed", "COMMENT ON TABLE agents IS NULL", "table public.agents: comment"
    ),
    case(
        "table made unlogged",
        "ALTER TABLE base_class SET UNLOGGED",
        "table public.base_class: persistence",
        in_models=_SQL_ONLY,
    ),
    case(
        "fillfactor set", "ALTER TABLE agents SET (fillfactor = 70)", "table public.agents: options"
    ),
    case(
        "autovacuum set",
        "ALTER TABLE agents SET (autovacuum_enabled = false, autovacuum_vacuum_threshold = 100)",
        "table public.agents: options",
        in_models=_SQL_ONLY,
    ),
    case(
        "autovacuum of the toast table set",
        "ALTER TABLE agents SET (toast.autovacuum_enabled = false)",
        "table public.agents: toast options",
        in_models=_SQL_ONLY,
    ),
    case(
        "row security enabled",
        "ALTER TABLE agents ENABLE ROW LEVEL SECURITY",
        "table public.agents: row security",
        in_models=_SQL_ONLY,
    ),
    case(
        "row security disabled",
        "ALTER TABLE billing.invoices DISABLE ROW LEVEL SECURITY",
        "table billing.invoices: row security",
        in_models=_SQL_ONLY,
    ),
    case(
        "row security forced",
        "ALTER TABLE billing.invoices FORCE ROW LEVEL SECURITY",
        "table billing.invoices: forced row security",
        in_models=_SQL_ONLY,
    ),
    case(
        "replica identity full",
        "ALTER TABLE agents REPLICA IDENTITY FULL",
        "table public.agents: replica identity",
        in_models=_SQL_ONLY,
    ),
    case(
        "replica identity by index",
        "ALTER TABLE billing.invoices REPLICA IDENTITY USING INDEX invoices_pkey",
        "table billing.invoices: replica identity",
        in_models=_SQL_ONLY,
    ),
    case(
        "inheritance removed",
        "ALTER TABLE derived_class NO INHERIT base_class",
        "table public.derived_class: inherits",
        in_models=_SQL_ONLY,
    ),
    case(
        "table of a type",
        "CREATE TABLE typed OF point_3d",
        "table public.typed",
        in_models=_SQL_ONLY,
    ),
    case("schema added", "CREATE SCHEMA extra", "schema extra"),
    case("schema dropped", "DROP SCHEMA spare", "schema spare"),
    case(
        "schema comment changed",
        "COMMENT ON SCHEMA billing IS 'coins'",
        "schema billing: comment",
        in_models=_SQL_ONLY,
    ),
    case(
        "partition key changed",
        "DROP TABLE events; CREATE TABLE events (id bigint NOT NULL, at timestamptz NOT NULL, kind text) PARTITION BY LIST (kind); CREATE INDEX ix_events_kind ON events (kind)",
        "table public.events: partition key",
        "partition public.events_2025",
    ),
    case(
        "table made partitioned",
        "DROP TABLE derived_class; CREATE TABLE derived_class (id integer, label text, extra text) PARTITION BY HASH (id)",
        "table public.derived_class: inherits",
        "table public.derived_class: partition key",
        "table public.derived_class: access method",
    ),
    case(
        "partition added",
        "CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01 00:00+00') TO ('2027-01-01 00:00+00')",
        "partition public.events_2026",
        silenced=True,
    ),
    case(
        "partition dropped", "DROP TABLE events_2025", "partition public.events_2025", silenced=True
    ),
    case(
        "partition bounds changed",
        "ALTER TABLE events DETACH PARTITION events_2025; ALTER TABLE events ATTACH PARTITION events_2025 FOR VALUES FROM ('2024-01-01 00:00+00') TO ('2026-01-01 00:00+00')",
        "partition public.events_2025: bound",
        silenced=True,
    ),
    case(
        "index of a partition",
        "CREATE INDEX ix_own ON events_2025 (id)",
        "index public.ix_own",
        silenced=True,
    ),
    case(
        "partition detached",
        "ALTER TABLE events DETACH PARTITION events_2025",
        "table public.events_2025",
        "partition public.events_2025",
        in_models=_SQL_ONLY,
    ),
    case(
        "foreign table dropped",
        "DROP FOREIGN TABLE archived",
        "foreign table public.archived",
        in_models=_SQL_ONLY,
    ),
    case(
        "foreign table option",
        "ALTER FOREIGN TABLE archived OPTIONS (SET name 'other')",
        "foreign table public.archived: foreign options",
        in_models=_SQL_ONLY,
    ),
    case(
        "foreign table column option",
        "ALTER FOREIGN TABLE archived ALTER id OPTIONS (ADD name 'other')",
        "column public.archived.id: foreign options",
        in_models=_SQL_ONLY,
    ),
)
_CONSTRAINTS = (
    case(
        "primary key dropped",
        "ALTER TABLE billing.invoices DROP CONSTRAINT invoices_pkey",
        "constraint billing.invoices.invoices_pkey",
    ),
    case(
        "primary key of other columns",
        "ALTER TABLE billing.invoices DROP CONSTRAINT invoices_pkey, ADD CONSTRAINT invoices_pkey PRIMARY KEY (id, amount)",
        "constraint billing.invoices.invoices_pkey: definition",
    ),
    case(
        "unique added",
        "ALTER TABLE agents ADD CONSTRAINT uq_agents_name UNIQUE (name)",
        "constraint public.agents.uq_agents_name",
    ),
    case(
        "unique dropped",
        "ALTER TABLE agents DROP CONSTRAINT uq_agents_email",
        "constraint public.agents.uq_agents_email",
    ),
    case(
        "unique deferrable",
        "ALTER TABLE agents DROP CONSTRAINT uq_agents_email, ADD CONSTRAINT uq_agents_email UNIQUE (email) DEFERRABLE INITIALLY DEFERRED",
        "constraint public.agents.uq_agents_email: definition",
    ),
    case(
        "NULLS NOT DISTINCT",
        "ALTER TABLE agents DROP CONSTRAINT uq_agents_email, ADD CONSTRAINT uq_agents_email UNIQUE NULLS NOT DISTINCT (email)",
        "constraint public.agents.uq_agents_email: definition",
        since=15,
    ),
    case(
        "unique constraint renamed",
        "ALTER TABLE agents RENAME CONSTRAINT uq_agents_email TO uq_mail",
        "constraint public.agents.uq_agents_email",
        "constraint public.agents.uq_mail",
    ),
    case(
        "unique constraint's index options",
        "ALTER INDEX uq_agents_email SET (fillfactor = 50)",
        "constraint public.agents.uq_agents_email: index options",
        in_models=_SQL_ONLY,
    ),
    case(
        "clustered on a constraint",
        "CLUSTER billing.invoices USING invoices_pkey",
        "constraint billing.invoices.invoices_pkey: clustered",
        in_models=_SQL_ONLY,
    ),
    case(
        "foreign key ON DELETE",
        "ALTER TABLE runs DROP CONSTRAINT fk_runs_agent, ADD CONSTRAINT fk_runs_agent FOREIGN KEY (agent_id) REFERENCES agents (id) ON DELETE SET NULL",
        "constraint public.runs.fk_runs_agent: definition",
    ),
    case(
        "foreign key ON UPDATE",
        "ALTER TABLE runs DROP CONSTRAINT fk_runs_agent, ADD CONSTRAINT fk_runs_agent FOREIGN KEY (agent_id) REFERENCES agents (id) ON UPDATE CASCADE ON DELETE CASCADE",
        "constraint public.runs.fk_runs_agent: definition",
    ),
    case(
        "foreign key to another table",
        "ALTER TABLE runs DROP CONSTRAINT fk_runs_agent, ADD CONSTRAINT fk_runs_agent FOREIGN KEY (agent_id) REFERENCES billing.invoices (id) ON DELETE CASCADE",
        "constraint public.runs.fk_runs_agent: definition",
    ),
    case(
        "foreign key added",
        "ALTER TABLE derived_class ADD CONSTRAINT fk_derived FOREIGN KEY (id) REFERENCES agents",
        "constraint public.derived_class.fk_derived",
    ),
    case(
        "foreign key dropped",
        "ALTER TABLE runs DROP CONSTRAINT fk_runs_parent",
        "constraint public.runs.fk_runs_parent",
    ),
    case(
        "foreign key no longer deferrable",
        "ALTER TABLE runs ALTER CONSTRAINT fk_runs_parent NOT DEFERRABLE",
        "constraint public.runs.fk_runs_parent: definition",
    ),
    case(
        "foreign key initially deferred",
        "ALTER TABLE runs ALTER CONSTRAINT fk_runs_parent DEFERRABLE INITIALLY DEFERRED",
        "constraint public.runs.fk_runs_parent: definition",
    ),
    case(
        "foreign key not valid",
        "ALTER TABLE runs DROP CONSTRAINT fk_runs_agent, ADD CONSTRAINT fk_runs_agent FOREIGN KEY (agent_id) REFERENCES agents (id) ON DELETE CASCADE NOT VALID",
        "constraint public.runs.fk_runs_agent: validity",
        in_models=_SQL_ONLY,
    ),
    case(
        "foreign key not enforced",
        "ALTER TABLE runs ALTER CONSTRAINT fk_runs_agent NOT ENFORCED",
        "constraint public.runs.fk_runs_agent: definition",
        in_models=_SQL_ONLY,
        since=18,
    ),
    case(
        "all triggers disabled",
        "ALTER TABLE runs DISABLE TRIGGER ALL",
        "constraint public.runs.fk_runs_agent: triggers",
        "constraint public.runs.fk_runs_parent: triggers",
        in_models=_SQL_ONLY,
    ),
    case(
        "CHECK added",
        "ALTER TABLE agents ADD CONSTRAINT ck_agents_email CHECK (email LIKE '%@%')",
        "constraint public.agents.ck_agents_email",
    ),
    case(
        "CHECK dropped",
        "ALTER TABLE agents DROP CONSTRAINT ck_agents_rate",
        "constraint public.agents.ck_agents_rate",
    ),
    case(
        "CHECK text",
        "ALTER TABLE agents DROP CONSTRAINT ck_agents_age, ADD CONSTRAINT ck_agents_age CHECK (age >= 18)",
        "constraint public.agents.ck_agents_age: definition",
    ),
    case(
        "CHECK list",
        "ALTER TABLE agents DROP CONSTRAINT ck_agents_kind, ADD CONSTRAINT ck_agents_kind CHECK (name IN ('x', 'y') OR length(name) > 1)",
        "constraint public.agents.ck_agents_kind: definition",
    ),
    case(
        "CHECK validated",
        "ALTER TABLE runs VALIDATE CONSTRAINT ck_runs_note",
        "constraint public.runs.ck_runs_note: validity",
        in_models=_SQL_ONLY,
    ),
    case(
        "CHECK not enforced",
        "ALTER TABLE agents DROP CONSTRAINT ck_agents_age, ADD CONSTRAINT ck_agents_age CHECK (age >= 0) NOT ENFORCED",
        "constraint public.agents.ck_agents_age: definition",
        in_models=_SQL_ONLY,
        since=18,
    ),
    case(
        "CHECK NO INHERIT",
        "ALTER TABLE agents DROP CONSTRAINT ck_agents_age, ADD CONSTRAINT ck_agents_age CHECK (age >= 0) NO INHERIT",
        "constraint public.agents.ck_agents_age: definition",
    ),
    case(
        "constraint comment",
        "COMMENT ON CONSTRAINT ck_agents_rate ON agents IS NULL",
        "constraint public.agents.ck_agents_rate: comment",
        in_models=_SQL_ONLY,
    ),
    case(
        "EXCLUDE dropped",
        "ALTER TABLE runs DROP CONSTRAINT no_overlap",
        "constraint public.runs.no_overlap",
    ),
    case(
        "EXCLUDE operator",
        "ALTER TABLE runs DROP CONSTRAINT no_overlap, ADD CONSTRAINT no_overlap EXCLUDE USING gist (during WITH -|-)",
        "constraint public.runs.no_overlap: definition",
    ),
    case(
        "EXCLUDE WHERE",
        "ALTER TABLE runs DROP CONSTRAINT no_overlap, ADD CONSTRAINT no_overlap EXCLUDE USING gist (during WITH &&) WHERE (agent_id > 0)",
        "constraint public.runs.no_overlap: definition",
    ),
    case(
        "check of a quoted table",
        'ALTER TABLE "Odd ""Name" DROP CONSTRAINT "Odd check"',
        'constraint public."Odd ""Name"."Odd check"',
    ),
)
_INDEXES = (
    case("index added", "CREATE INDEX ix_agents_age ON agents (age)", "index public.ix_agents_age"),
    case("index dropped", "DROP INDEX ix_agents_name", "index public.ix_agents_name"),
    case(
        "index renamed",
        "ALTER INDEX ix_runs_agent RENAME TO ix_runs_by_agent",
        "index public.ix_runs_agent",
        "index public.ix_runs_by_agent",
    ),
    case(
        "index columns",
        "DROP INDEX ix_runs_agent; CREATE INDEX ix_runs_agent ON runs (agent_id, ticket)",
        "index public.ix_runs_agent: definition",
    ),
    case(
        "index order",
        "DROP INDEX ix_runs_agent; CREATE INDEX ix_runs_agent ON runs (agent_id DESC NULLS LAST)",
        "index public.ix_runs_agent: definition",
    ),
    case(
        "index made unique",
        "DROP INDEX ix_runs_agent; CREATE UNIQUE INDEX ix_runs_agent ON runs (agent_id)",
        "index public.ix_runs_agent: definition",
    ),
    case(
        "index expression",
        "DROP INDEX ix_agents_lower; CREATE INDEX ix_agents_lower ON agents (upper(name))",
        "index public.ix_agents_lower: definition",
    ),
    case(
        "index WHERE",
        "DROP INDEX ix_agents_live; CREATE INDEX ix_agents_live ON agents (created_at) WHERE state = 'draft'",
        "index public.ix_agents_live: definition",
    ),
    case(
        "index WHERE removed",
        "DROP INDEX ix_agents_live; CREATE INDEX ix_agents_live ON agents (created_at)",
        "index public.ix_agents_live: definition",
    ),
    case(
        "index method",
        "DROP INDEX ix_runs_agent; CREATE INDEX ix_runs_agent ON runs USING hash (agent_id)",
        "index public.ix_runs_agent: definition",
    ),
    case(
        "index INCLUDE",
        "DROP INDEX ix_agents_state; CREATE INDEX ix_agents_state ON agents (state) INCLUDE (email)",
        "index public.ix_agents_state: definition",
    ),
    case(
        "index operator class",
        "DROP INDEX ix_agents_lower; CREATE INDEX ix_agents_lower ON agents (lower(name) text_pattern_ops)",
        "index public.ix_agents_lower: definition",
    ),
    case(
        "index collation",
        'DROP INDEX ix_agents_lower; CREATE INDEX ix_agents_lower ON agents (lower(name) COLLATE "C")',
        "index public.ix_agents_lower: definition",
    ),
    case(
        "index NULLS NOT DISTINCT",
        "DROP INDEX uq_agents_nickname; CREATE UNIQUE INDEX uq_agents_nickname ON agents (nickname) NULLS NOT DISTINCT",
        "index public.uq_agents_nickname: definition",
        since=15,
    ),
    case(
        "index option",
        "ALTER INDEX ix_agents_name SET (fillfactor = 60)",
        "index public.ix_agents_name: definition",
    ),
    case(
        "index statistics",
        "ALTER INDEX ix_agents_lower ALTER COLUMN 1 SET STATISTICS 400",
        "index public.ix_agents_lower: statistics",
        in_models=_SQL_ONLY,
    ),
    case(
        "index INVALID",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_agents_name'::regclass",
        "index public.ix_agents_name: validity",
        in_models=_SQL_ONLY,
    ),
    case(
        "index clustered",
        "CLUSTER agents USING ix_agents_name",
        "index public.ix_agents_name: clustered",
        in_models=_SQL_ONLY,
    ),
    case(
        "index comment",
        "COMMENT ON INDEX ix_agents_name IS 'other'",
        "index public.ix_agents_name: comment",
        in_models=_SQL_ONLY,
    ),
    case(
        "index of a materialized view",
        "DROP INDEX ix_totals",
        "index public.ix_totals",
        in_models=_SQL_ONLY,
    ),
    case(
        "index of a partitioned table", "DROP INDEX ix_events_kind", "index public.ix_events_kind"
    ),
    case(
        "index built concurrently",
        "CREATE INDEX CONCURRENTLY ix_agents_age ON agents (age)",
        "index public.ix_agents_age",
        alone=True,
    ),
)
_SEQUENCES = (
    case("sequence added", "CREATE SEQUENCE extra", "sequence public.extra"),
    case(
        "sequence dropped",
        "DROP SEQUENCE ticket CASCADE",
        "sequence public.ticket",
        "column public.runs.ticket: default",
    ),
    case("sequence start", "ALTER SEQUENCE ticket START 20", "sequence public.ticket: start"),
    case(
        "sequence increment",
        "ALTER SEQUENCE ticket INCREMENT 1",
        "sequence public.ticket: increment",
    ),
    case(
        "sequence maximum",
        "ALTER SEQUENCE ticket MAXVALUE 1000000",
        "sequence public.ticket: maximum",
    ),
    case("sequence minimum", "ALTER SEQUENCE ticket MINVALUE 5", "sequence public.ticket: minimum"),
    case("sequence cache", "ALTER SEQUENCE ticket CACHE 20", "sequence public.ticket: cache"),
    case("sequence cycle", "ALTER SEQUENCE ticket CYCLE", "sequence public.ticket: cycle"),
    case(
        "sequence type",
        "ALTER SEQUENCE ticket AS integer",
        "sequence public.ticket: maximum",
        "sequence public.ticket: type",
    ),
    case(
        "sequence comment",
        "COMMENT ON SEQUENCE ticket IS NULL",
        "sequence public.ticket: comment",
        in_models=_SQL_ONLY,
    ),
)
_STATISTICS = (
    case(
        "statistics added",
        "CREATE STATISTICS st_more ON name, age FROM agents",
        "statistics public.st_more",
        in_models=_SQL_ONLY,
    ),
    case(
        "statistics dropped",
        "DROP STATISTICS st_agents",
        "statistics public.st_agents",
        in_models=_SQL_ONLY,
    ),
    case(
        "statistics kinds",
        "DROP STATISTICS st_agents; CREATE STATISTICS st_agents (mcv) ON name, email FROM agents; COMMENT ON STATISTICS st_agents IS 'they go together'",
        "statistics public.st_agents: definition",
        in_models=_SQL_ONLY,
    ),
    case(
        "statistics target",
        "ALTER STATISTICS st_agents SET STATISTICS 300",
        "statistics public.st_agents: target",
        in_models=_SQL_ONLY,
    ),
    case(
        "statistics comment",
        "COMMENT ON STATISTICS st_agents IS 'other'",
        "statistics public.st_agents: comment",
        in_models=_SQL_ONLY,
    ),
)
TABLES: tuple[Case, ...] = (*_TABLES, *_CONSTRAINTS, *_INDEXES, *_SEQUENCES, *_STATISTICS)
