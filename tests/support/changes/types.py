"""Changes of types, extensions, publications, foreign servers, text search, operators, casts."""

from __future__ import annotations

from tests.support.changes.case import Case, case

_SQL_ONLY = False

TYPES: tuple[Case, ...] = (
    case(
        "enum value added",
        "ALTER TYPE state ADD VALUE 'paused' BEFORE 'live'",
        "enum public.state: values",
    ),
    case(
        "enum value added last", "ALTER TYPE unused ADD VALUE 'three'", "enum public.unused: values"
    ),
    case(
        "enum value renamed",
        "ALTER TYPE unused RENAME VALUE 'two' TO 'zwei'",
        "enum public.unused: values",
    ),
    case(
        "enum value removed",
        "DROP TYPE unused; CREATE TYPE unused AS ENUM ('one')",
        "enum public.unused: values",
    ),
    case(
        "enum values in another order",
        "DROP TYPE unused; CREATE TYPE unused AS ENUM ('two', 'one')",
        "enum public.unused: values",
    ),
    case(
        "orphan enum", "CREATE TYPE orphan AS ENUM ('a')", "enum public.orphan", in_models=_SQL_ONLY
    ),
    case("enum dropped", "DROP TYPE unused", "enum public.unused", in_models=_SQL_ONLY),
    case(
        "enum comment",
        "COMMENT ON TYPE state IS 'other'",
        "enum public.state: comment",
        in_models=_SQL_ONLY,
    ),
    case(
        "domain default", "ALTER DOMAIN positive SET DEFAULT 2", "domain public.positive: default"
    ),
    case("domain NOT NULL", "ALTER DOMAIN slug DROP NOT NULL", "domain public.slug: nullability"),
    case(
        "domain CHECK",
        "ALTER DOMAIN positive DROP CONSTRAINT is_positive; ALTER DOMAIN positive ADD CONSTRAINT is_positive CHECK (VALUE > 1)",
        "domain constraint public.positive.is_positive: definition",
    ),
    case(
        "domain CHECK dropped",
        "ALTER DOMAIN positive DROP CONSTRAINT is_positive",
        "domain constraint public.positive.is_positive",
    ),
    case(
        "domain CHECK not valid",
        "ALTER DOMAIN slug ADD CONSTRAINT short CHECK (length(VALUE) < 9) NOT VALID",
        "domain constraint public.slug.short",
        in_models=_SQL_ONLY,
    ),
    case("domain dropped", "DROP DOMAIN positive", "domain public.positive"),
    case(
        "domain of another type",
        "DROP DOMAIN slug; CREATE DOMAIN slug AS varchar(20) NOT NULL",
        "domain public.slug: type",
    ),
    case(
        "domain comment",
        "COMMENT ON DOMAIN slug IS 'short'",
        "domain public.slug: comment",
        in_models=_SQL_ONLY,
    ),
    case(
        "composite attribute added",
        "ALTER TYPE point_3d ADD ATTRIBUTE w real",
        "composite type public.point_3d: attributes",
        in_models=_SQL_ONLY,
    ),
    case(
        "composite attribute type",
        "CREATE TYPE pair AS (a integer, b text)",
        "composite type public.pair",
        in_models=_SQL_ONLY,
    ),
    case(
        "composite comment",
        "COMMENT ON TYPE point_3d IS 'where'",
        "composite type public.point_3d: comment",
        in_models=_SQL_ONLY,
    ),
    case(
        "range dropped",
        "DROP TYPE price_range",
        "range type public.price_range",
        in_models=_SQL_ONLY,
    ),
    case(
        "range subtype",
        "DROP TYPE price_range; CREATE TYPE price_range AS RANGE (subtype = float8)",
        "range type public.price_range: operator class",
        "range type public.price_range: subtype",
        in_models=_SQL_ONLY,
    ),
    case(
        "range comment",
        "COMMENT ON TYPE price_range IS 'from, to'",
        "range type public.price_range: comment",
        in_models=_SQL_ONLY,
    ),
    case("base type", "CREATE TYPE shell", "base type public.shell", in_models=_SQL_ONLY),
    case(
        "collation dropped", "DROP COLLATION plain", "collation public.plain", in_models=_SQL_ONLY
    ),
    case(
        "collation of another locale",
        "DROP COLLATION plain; CREATE COLLATION plain (provider = libc, lc_collate = 'C', lc_ctype = 'POSIX')",
        "collation public.plain: ctype",
        in_models=_SQL_ONLY,
    ),
    case("extension added", "CREATE EXTENSION hstore", "extension hstore", in_models=_SQL_ONLY),
    case("extension dropped", "DROP EXTENSION citext", "extension citext", in_models=_SQL_ONLY),
    case(
        "extension version",
        "ALTER EXTENSION pg_trgm UPDATE TO '1.6'",
        "extension pg_trgm: version",
        in_models=_SQL_ONLY,
    ),
    case(
        "extension moved",
        "ALTER EXTENSION citext SET SCHEMA spare",
        "extension citext: schema",
        in_models=_SQL_ONLY,
    ),
    case(
        "publication added",
        "CREATE PUBLICATION more FOR TABLE runs",
        "publication more",
        in_models=_SQL_ONLY,
    ),
    case(
        "publication dropped",
        "DROP PUBLICATION changes",
        "publication changes",
        in_models=_SQL_ONLY,
    ),
    case(
        "publication table added",
        "ALTER PUBLICATION changes ADD TABLE runs",
        "publication table changes.public.runs",
        in_models=_SQL_ONLY,
    ),
    case(
        "publication table dropped",
        "ALTER PUBLICATION changes DROP TABLE agents",
        "publication table changes.public.agents",
        in_models=_SQL_ONLY,
    ),
    case(
        "publication rows",
        "ALTER PUBLICATION changes SET TABLE agents WHERE (id > 10)",
        "publication table changes.public.agents: where",
        in_models=_SQL_ONLY,
        since=15,
    ),
    case(
        "publication columns",
        "ALTER PUBLICATION changes SET TABLE agents (id, name)",
        "publication table changes.public.agents: columns",
        in_models=_SQL_ONLY,
        since=15,
    ),
    case(
        "publication schema",
        "ALTER PUBLICATION changes ADD TABLES IN SCHEMA billing",
        "publication changes: schemas",
        in_models=_SQL_ONLY,
        since=15,
    ),
    case(
        "publication operations",
        "ALTER PUBLICATION changes SET (publish = 'insert')",
        "publication changes: operations",
        in_models=_SQL_ONLY,
    ),
    case(
        "publication via root",
        "ALTER PUBLICATION changes SET (publish_via_partition_root = true)",
        "publication changes: via root",
        in_models=_SQL_ONLY,
    ),
    case(
        "publication of all tables",
        "DROP PUBLICATION changes; CREATE PUBLICATION changes FOR ALL TABLES WITH (publish = 'insert, update')",
        "publication changes: all tables",
        "publication table changes.public.agents",
        in_models=_SQL_ONLY,
    ),
    case(
        "publication comment",
        "COMMENT ON PUBLICATION changes IS 'out'",
        "publication changes: comment",
        in_models=_SQL_ONLY,
    ),
    case(
        "foreign server option",
        "ALTER SERVER archive OPTIONS (SET host 'two')",
        "foreign server archive: options",
        in_models=_SQL_ONLY,
    ),
    case(
        "foreign server version",
        "ALTER SERVER archive VERSION '2'",
        "foreign server archive: version",
        in_models=_SQL_ONLY,
    ),
    case(
        "foreign data wrapper",
        "CREATE FOREIGN DATA WRAPPER other",
        "foreign data wrapper other",
        in_models=_SQL_ONLY,
    ),
    case(
        "text search mapping",
        "ALTER TEXT SEARCH CONFIGURATION house ALTER MAPPING FOR word WITH plain_words",
        "text search configuration public.house: mappings",
        in_models=_SQL_ONLY,
    ),
    case(
        "text search dictionary option",
        "ALTER TEXT SEARCH DICTIONARY plain_words (ACCEPT = false)",
        "text search dictionary public.plain_words: options",
        in_models=_SQL_ONLY,
    ),
    case(
        "operator dropped",
        "DROP OPERATOR === (point_3d, point_3d)",
        "operator public.===(public.point_3d, public.point_3d)",
        in_models=_SQL_ONLY,
    ),
    case(
        "operator estimator",
        "ALTER OPERATOR === (point_3d, point_3d) SET (RESTRICT = eqsel)",
        "operator public.===(public.point_3d, public.point_3d): restrict",
        in_models=_SQL_ONLY,
    ),
    case(
        "operator class added",
        "CREATE OPERATOR CLASS house_ops FOR TYPE point_3d USING hash AS OPERATOR 1 ===",
        "operator class public.house_ops using hash",
        in_models=_SQL_ONLY,
    ),
    case(
        "cast dropped",
        "DROP CAST (point_3d AS text)",
        "cast (public.point_3d AS text)",
        in_models=_SQL_ONLY,
    ),
    case(
        "cast context",
        "DROP CAST (point_3d AS text); CREATE CAST (point_3d AS text) WITH FUNCTION as_text(point_3d) AS ASSIGNMENT",
        "cast (public.point_3d AS text): context",
        in_models=_SQL_ONLY,
    ),
)
