"""Changes of columns, their defaults and their sequences."""

from __future__ import annotations

from tests.support.changes.case import Case, case

_EMAIL = "column public.agents.email"
_NAME = "column public.agents.name"

COLUMNS: tuple[Case, ...] = (
    case("column added", "ALTER TABLE agents ADD extra integer", "column public.agents.extra"),
    case(
        "column dropped",
        "ALTER TABLE agents DROP age CASCADE",
        "column public.agents.age",
        "constraint public.agents.ck_agents_age",
    ),
    case(
        "plain column dropped",
        "ALTER TABLE runs DROP parent_id",
        "column public.runs.parent_id",
        "constraint public.runs.fk_runs_parent",
    ),
    case(
        "column renamed",
        "ALTER TABLE agents RENAME settings TO options",
        "column public.agents.options",
        "column public.agents.settings",
    ),
    case(
        "nullable made NOT NULL",
        "ALTER TABLE agents ALTER age SET NOT NULL",
        "column public.agents.age: nullability",
    ),
    case(
        "NOT NULL dropped",
        "ALTER TABLE agents ALTER rate DROP NOT NULL",
        "column public.agents.rate: nullability",
    ),
    case(
        "NOT NULL not valid",
        "ALTER TABLE agents ADD CONSTRAINT later NOT NULL age NOT VALID",
        "column public.agents.age: nullability",
        since=18,
    ),
    case(
        "varchar length",
        "ALTER TABLE runs ALTER code TYPE varchar(20)",
        "column public.runs.code: type",
    ),
    case(
        "varchar lengthened",
        "ALTER TABLE agents ALTER nickname TYPE varchar(20)",
        "column public.agents.nickname: collation",
        "column public.agents.nickname: type",
    ),
    case(
        "type widened",
        "ALTER TABLE runs ALTER note TYPE varchar(200)",
        "column public.runs.note: type",
        "constraint public.runs.ck_runs_note: definition",
    ),
    case(
        "integer made bigint",
        "ALTER TABLE agents ALTER age TYPE bigint",
        "column public.agents.age: type",
    ),
    case(
        "numeric scale",
        "ALTER TABLE agents ALTER rate TYPE numeric(12, 4)",
        "column public.agents.rate: type",
    ),
    case(
        "numeric unbounded",
        "ALTER TABLE agents ALTER rate TYPE numeric",
        "column public.agents.rate: type",
    ),
    case(
        "timestamptz made timestamp",
        "ALTER TABLE agents ALTER expires_at DROP DEFAULT; ALTER TABLE agents ALTER expires_at TYPE timestamp",
        "column public.agents.expires_at: default",
        "column public.agents.expires_at: type",
    ),
    case(
        "timestamp precision",
        "ALTER TABLE agents ALTER expires_at TYPE timestamptz(0)",
        "column public.agents.expires_at: type",
    ),
    case(
        "jsonb made json",
        "ALTER TABLE agents ALTER settings DROP DEFAULT; ALTER TABLE agents ALTER settings TYPE json; ALTER TABLE agents ALTER settings SET DEFAULT '{\"a\": 1}'",
        "column public.agents.settings: default",
        "column public.agents.settings: type",
    ),
    case(
        "array made of varchar",
        "ALTER TABLE agents ADD labels varchar[]",
        "column public.agents.labels",
    ),
    case(
        "default changed",
        "ALTER TABLE agents ALTER rate SET DEFAULT 2.5",
        "column public.agents.rate: default",
    ),
    case(
        "default added",
        "ALTER TABLE agents ALTER age SET DEFAULT 18",
        "column public.agents.age: default",
    ),
    case(
        "default dropped",
        "ALTER TABLE agents ALTER rate DROP DEFAULT",
        "column public.agents.rate: default",
    ),
    case(
        "default function changed",
        "ALTER TABLE agents ALTER created_at SET DEFAULT clock_timestamp()",
        "column public.agents.created_at: default",
    ),
    case(
        "enum default changed",
        "ALTER TABLE agents ALTER state SET DEFAULT 'live'",
        "column public.agents.state: default",
    ),
    case(
        "JSON default changed",
        "ALTER TABLE agents ALTER settings SET DEFAULT '{}'",
        "column public.agents.settings: default",
    ),
    case(
        "array default changed",
        "ALTER TABLE agents ALTER tags SET DEFAULT '{new}'",
        "column public.agents.tags: default",
    ),
    case(
        "time default changed",
        "ALTER TABLE agents ALTER expires_at SET DEFAULT '2030-01-01 01:00+00'",
        "column public.agents.expires_at: default",
    ),
    case(
        "default draws another sequence",
        "CREATE SEQUENCE spare.other; ALTER TABLE runs ALTER ticket SET DEFAULT nextval('spare.other')",
        "column public.runs.ticket: default",
        "sequence spare.other",
    ),
    case(
        "serial default dropped",
        "ALTER TABLE agents ALTER id DROP DEFAULT",
        "column public.agents.id: default",
    ),
    case(
        "computed expression",
        "ALTER TABLE agents DROP full_name, ADD full_name text GENERATED ALWAYS AS (name || email) STORED",
        "column public.agents.full_name: generated",
    ),
    case(
        "computed made plain",
        "ALTER TABLE agents ALTER full_name DROP EXPRESSION",
        "column public.agents.full_name: generated",
    ),
    case(
        "computed made virtual",
        "ALTER TABLE agents DROP full_name, ADD full_name text GENERATED ALWAYS AS (name || ' ' || email) VIRTUAL",
        "column public.agents.full_name: generated",
        since=18,
    ),
    case(
        "identity made ALWAYS",
        "ALTER TABLE agents ALTER number SET GENERATED ALWAYS",
        "column public.agents.number: identity",
    ),
    case(
        "identity dropped",
        "ALTER TABLE agents ALTER number DROP IDENTITY",
        "column public.agents.number: identity",
        "column public.agents.number: sequence",
    ),
    case(
        "identity added",
        "ALTER TABLE agents ADD other integer GENERATED ALWAYS AS IDENTITY",
        "column public.agents.other",
    ),
    case(
        "identity start",
        "ALTER TABLE agents ALTER number SET START 100",
        "column public.agents.number: sequence",
    ),
    case(
        "identity increment",
        "ALTER TABLE agents ALTER number SET INCREMENT 10",
        "column public.agents.number: sequence",
    ),
    case(
        "serial sequence increment",
        "ALTER SEQUENCE agents_id_seq INCREMENT 2",
        "column public.agents.id: sequence",
    ),
    case(
        "collation changed",
        'ALTER TABLE agents ALTER nickname TYPE text COLLATE "POSIX"',
        "column public.agents.nickname: collation",
    ),
    case(
        "collation removed",
        'ALTER TABLE agents ALTER nickname TYPE text COLLATE "default"',
        "column public.agents.nickname: collation",
    ),
    case(
        "column comment changed",
        "COMMENT ON COLUMN agents.email IS 'it''s \\ elsewhere'",
        f"{_EMAIL}: comment",
    ),
    case("column comment removed", "COMMENT ON COLUMN agents.email IS NULL", f"{_EMAIL}: comment"),
    case(
        "column comment added",
        "COMMENT ON COLUMN agents.name IS 'what to call'",
        f"{_NAME}: comment",
    ),
    case(
        "storage changed",
        "ALTER TABLE agents ALTER email SET STORAGE EXTERNAL",
        f"{_EMAIL}: storage",
        in_models=False,
    ),
    case(
        "compression changed",
        "ALTER TABLE agents ALTER email SET COMPRESSION pglz",
        f"{_EMAIL}: compression",
        in_models=False,
    ),
    case(
        "statistics target changed",
        "ALTER TABLE agents ALTER email SET STATISTICS 500",
        f"{_EMAIL}: statistics",
        in_models=False,
    ),
    case(
        "column option set",
        "ALTER TABLE agents ALTER email SET (n_distinct = 5)",
        f"{_EMAIL}: options",
        in_models=False,
    ),
    case(
        "column of a quoted table",
        'ALTER TABLE "Odd ""Name" ALTER "Some Column" SET DEFAULT 3',
        'column public."Odd ""Name"."Some Column": default',
    ),
    case(
        "column in another schema",
        "ALTER TABLE billing.invoices ADD paid boolean",
        "column billing.invoices.paid",
    ),
    case(
        "column of a partitioned table",
        "ALTER TABLE events ADD payload jsonb",
        "column public.events.payload",
    ),
    case(
        "type changed to a domain",
        "ALTER TABLE runs ADD amount positive",
        "column public.runs.amount",
    ),
    case(
        "sequence owned",
        "ALTER SEQUENCE ticket OWNED BY runs.id",
        "column public.runs.id: sequence",
        "sequence public.ticket",
        in_models=False,
    ),
)
