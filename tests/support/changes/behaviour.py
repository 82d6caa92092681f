"""Changes of views, functions, triggers, policies and rules: what models do not hold."""

from __future__ import annotations

from tests.support.changes.case import Case, case

_TOUCH = "CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql"
_ADD = "CREATE OR REPLACE FUNCTION add(a integer, b integer) RETURNS integer LANGUAGE sql"
_ADDED = "function public.add(integer, integer): definition"
_POLICY = "policy billing.invoices.own_invoices"
_TRIGGER = "trigger public.agents.touch_agents"

_VIEWS = (
    case(
        "view added", "CREATE VIEW extra AS SELECT 1 AS one", "view public.extra", in_models=False
    ),
    case("view dropped", "DROP VIEW live_agents", "view public.live_agents", in_models=False),
    case(
        "view condition",
        "CREATE OR REPLACE VIEW live_agents AS SELECT id, name FROM agents WHERE state = 'draft'",
        "view public.live_agents: definition",
        in_models=False,
    ),
    case(
        "view column added",
        "CREATE OR REPLACE VIEW live_agents AS SELECT id, name, email FROM agents WHERE state = 'live'",
        "view public.live_agents: definition",
        in_models=False,
    ),
    case(
        "view column renamed",
        "ALTER VIEW live_agents RENAME name TO title",
        "view public.live_agents: definition",
        in_models=False,
    ),
    case(
        "view security_invoker",
        "ALTER VIEW live_agents SET (security_invoker = true)",
        "view public.live_agents: options",
        in_models=False,
        since=15,
    ),
    case(
        "view security_barrier off",
        "ALTER VIEW guarded RESET (security_barrier)",
        "view public.guarded: options",
        in_models=False,
    ),
    case(
        "view check option",
        "ALTER VIEW live_agents SET (check_option = 'local')",
        "view public.live_agents: options",
        in_models=False,
    ),
    case(
        "view comment",
        "COMMENT ON VIEW live_agents IS 'other'",
        "view public.live_agents: comment",
        in_models=False,
    ),
    case(
        "view column comment",
        "COMMENT ON COLUMN live_agents.name IS 'what'",
        "view column public.live_agents.name",
        in_models=False,
    ),
    case(
        "view column default",
        "ALTER VIEW live_agents ALTER name SET DEFAULT 'new'",
        "view column public.live_agents.name",
        in_models=False,
    ),
    case(
        "materialized view dropped",
        "DROP MATERIALIZED VIEW totals",
        "materialized view public.totals",
        in_models=False,
    ),
    case(
        "materialized view definition",
        "DROP MATERIALIZED VIEW totals; CREATE MATERIALIZED VIEW totals AS SELECT agent_id, sum(1) AS runs FROM runs GROUP BY agent_id; CREATE UNIQUE INDEX ix_totals ON totals (agent_id)",
        "materialized view public.totals: definition",
        in_models=False,
    ),
    case(
        "materialized view option",
        "ALTER MATERIALIZED VIEW totals SET (fillfactor = 80)",
        "materialized view public.totals: options",
        in_models=False,
    ),
    case(
        "materialized view comment",
        "COMMENT ON MATERIALIZED VIEW totals IS 'sums'",
        "materialized view public.totals: comment",
        in_models=False,
    ),
)
_ROUTINES = (
    case(
        "function added",
        "CREATE FUNCTION extra() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "function public.extra()",
        in_models=False,
    ),
    case(
        "function dropped",
        "DROP FUNCTION add(text, text)",
        "function public.add(text, text)",
        in_models=False,
    ),
    case(
        "function body",
        f"{_TOUCH} AS $$ BEGIN RETURN NEW; END $$",
        "function public.touch(): definition",
        in_models=False,
    ),
    case("function volatility", f"{_ADD} VOLATILE AS 'SELECT a + b'", _ADDED, in_models=False),
    case("function strict", f"{_ADD} IMMUTABLE STRICT AS 'SELECT a + b'", _ADDED, in_models=False),
    case(
        "function security definer",
        "ALTER FUNCTION touch() SECURITY DEFINER",
        "function public.touch(): definition",
        in_models=False,
    ),
    case(
        "function setting",
        "ALTER FUNCTION touch() SET search_path = public",
        "function public.touch(): definition",
        in_models=False,
    ),
    case(
        "function cost",
        "ALTER FUNCTION touch() COST 500",
        "function public.touch(): definition",
        in_models=False,
    ),
    case(
        "function parallel",
        "ALTER FUNCTION add(integer, integer) PARALLEL SAFE",
        _ADDED,
        in_models=False,
    ),
    case(
        "function argument renamed",
        "DROP AGGREGATE total(integer); DROP FUNCTION add(integer, integer); CREATE FUNCTION add(x integer, b integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT x + b'; CREATE AGGREGATE total(integer) (SFUNC = add, STYPE = integer, INITCOND = '0')",
        _ADDED,
        in_models=False,
    ),
    case(
        "function argument default",
        f"{_ADD.replace('b integer)', 'b integer DEFAULT 1)')} IMMUTABLE AS 'SELECT a + b'",
        _ADDED,
        in_models=False,
    ),
    case(
        "function result",
        "DROP FUNCTION add(text, text); CREATE FUNCTION add(a text, b text) RETURNS varchar LANGUAGE sql IMMUTABLE AS 'SELECT a || b'",
        "function public.add(text, text): definition",
        in_models=False,
    ),
    case(
        "function comment",
        "COMMENT ON FUNCTION touch() IS 'other'",
        "function public.touch(): comment",
        in_models=False,
    ),
    case(
        "procedure body",
        "CREATE OR REPLACE PROCEDURE tidy() LANGUAGE sql AS 'SELECT 1'",
        "procedure public.tidy(): definition",
        in_models=False,
    ),
    case("procedure dropped", "DROP PROCEDURE tidy()", "procedure public.tidy()", in_models=False),
    case(
        "aggregate dropped",
        "DROP AGGREGATE total(integer)",
        "aggregate public.total(integer)",
        in_models=False,
    ),
    case(
        "aggregate initial value",
        "CREATE OR REPLACE AGGREGATE total(integer) (SFUNC = add, STYPE = integer, INITCOND = '1')",
        "aggregate public.total(integer): initial value",
        in_models=False,
    ),
    case(
        "aggregate parallel",
        "CREATE OR REPLACE AGGREGATE total(integer) (SFUNC = add, STYPE = integer, INITCOND = '0', PARALLEL = SAFE)",
        "aggregate public.total(integer): parallel",
        in_models=False,
    ),
)
_TRIGGERS = (
    case(
        "trigger added",
        "CREATE TRIGGER extra BEFORE INSERT ON agents FOR EACH ROW EXECUTE FUNCTION touch()",
        "trigger public.agents.extra",
        in_models=False,
    ),
    case("trigger dropped", "DROP TRIGGER touch_agents ON agents", _TRIGGER, in_models=False),
    case(
        "trigger disabled",
        "ALTER TABLE agents DISABLE TRIGGER touch_agents",
        f"{_TRIGGER}: enabled",
        in_models=False,
    ),
    case(
        "trigger always",
        "ALTER TABLE agents ENABLE ALWAYS TRIGGER touch_agents",
        f"{_TRIGGER}: enabled",
        in_models=False,
    ),
    case(
        "trigger event",
        "CREATE OR REPLACE TRIGGER touch_agents BEFORE UPDATE OR INSERT ON agents FOR EACH ROW EXECUTE FUNCTION touch()",
        f"{_TRIGGER}: definition",
        in_models=False,
    ),
    case(
        "trigger WHEN",
        "CREATE OR REPLACE TRIGGER touch_agents BEFORE UPDATE ON agents FOR EACH ROW WHEN (NEW.age > 1) EXECUTE FUNCTION touch()",
        f"{_TRIGGER}: definition",
        in_models=False,
    ),
    case(
        "trigger columns",
        "CREATE OR REPLACE TRIGGER touch_agents BEFORE UPDATE OF name ON agents FOR EACH ROW EXECUTE FUNCTION touch()",
        f"{_TRIGGER}: definition",
        in_models=False,
    ),
    case(
        "constraint trigger",
        "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON agents DEFERRABLE FOR EACH ROW EXECUTE FUNCTION touch()",
        "trigger public.agents.late",
        in_models=False,
    ),
    case(
        "trigger of a partitioned table",
        "CREATE TRIGGER each BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION touch()",
        "trigger public.events.each",
        in_models=False,
    ),
    case(
        "trigger comment",
        "COMMENT ON TRIGGER touch_agents ON agents IS NULL",
        f"{_TRIGGER}: comment",
        in_models=False,
    ),
    case(
        "event trigger disabled",
        "ALTER EVENT TRIGGER watch_drops DISABLE",
        "event trigger watch_drops: enabled",
        in_models=False,
    ),
    case(
        "event trigger tags",
        "DROP EVENT TRIGGER watch_drops; CREATE EVENT TRIGGER watch_drops ON sql_drop WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION watch()",
        "event trigger watch_drops: tags",
        in_models=False,
    ),
    case(
        "event trigger dropped",
        "DROP EVENT TRIGGER watch_drops",
        "event trigger watch_drops",
        in_models=False,
    ),
    case(
        "rule dropped",
        "DROP RULE keep_invoices ON billing.invoices",
        "rule billing.invoices.keep_invoices",
        in_models=False,
    ),
    case(
        "rule definition",
        "CREATE OR REPLACE RULE keep_invoices AS ON DELETE TO billing.invoices WHERE old.amount > 0 DO INSTEAD NOTHING",
        "rule billing.invoices.keep_invoices: definition",
        in_models=False,
    ),
    case(
        "rule disabled",
        "ALTER TABLE billing.invoices DISABLE RULE keep_invoices",
        "rule billing.invoices.keep_invoices: enabled",
        in_models=False,
    ),
)
_POLICIES = (
    case(
        "policy added",
        "CREATE POLICY extra ON billing.invoices USING (true)",
        "policy billing.invoices.extra",
        in_models=False,
    ),
    case(
        "policy dropped", "DROP POLICY own_invoices ON billing.invoices", _POLICY, in_models=False
    ),
    case(
        "policy USING",
        "ALTER POLICY own_invoices ON billing.invoices USING (true)",
        f"{_POLICY}: using",
        in_models=False,
    ),
    case(
        "policy WITH CHECK",
        "ALTER POLICY write_own ON billing.invoices WITH CHECK (true)",
        "policy billing.invoices.write_own: with check",
        in_models=False,
    ),
    case(
        "policy roles",
        "ALTER POLICY own_invoices ON billing.invoices TO pg_monitor",
        f"{_POLICY}: roles",
        in_models=False,
    ),
    case(
        "policy command",
        "DROP POLICY own_invoices ON billing.invoices; CREATE POLICY own_invoices ON billing.invoices TO PUBLIC USING (owner = CURRENT_USER); COMMENT ON POLICY own_invoices ON billing.invoices IS 'each their own'",
        f"{_POLICY}: command",
        in_models=False,
    ),
    case(
        "policy restrictive",
        "DROP POLICY own_invoices ON billing.invoices; CREATE POLICY own_invoices ON billing.invoices AS RESTRICTIVE FOR SELECT TO PUBLIC USING (owner = CURRENT_USER); COMMENT ON POLICY own_invoices ON billing.invoices IS 'each their own'",
        f"{_POLICY}: kind",
        in_models=False,
    ),
    case(
        "policy comment",
        "COMMENT ON POLICY own_invoices ON billing.invoices IS NULL",
        f"{_POLICY}: comment",
        in_models=False,
    ),
)
BEHAVIOUR: tuple[Case, ...] = (*_VIEWS, *_ROUTINES, *_TRIGGERS, *_POLICIES)
