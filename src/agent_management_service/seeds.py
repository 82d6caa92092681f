"""Rows to work with: a hundred agents and what they have done, the same on every machine."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from random import Random
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from agent_management_service.models import (
    Agent,
    AgentStatus,
    AgentVersion,
    ApiKey,
    ApiKeyAccess,
    ApiKeyGrant,
    Base,
    Deployment,
    DeploymentEnvironment,
    Run,
    RunEvent,
    RunEventKind,
    RunStatus,
    RunTrigger,
    Schedule,
    Tool,
    ToolGrant,
    ToolKind,
    ToolPermission,
)

Row = dict[str, Any]

# Nothing depends on the day on which it is run.
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
RUNS_OF_A_DEPLOYMENT = 10
EVENTS_OF_A_RUN = 10
AREAS = (
    "Billing",
    "Hiring",
    "Inventory",
    "Legal",
    "Payroll",
    "Research",
    "Sales",
    "Security",
    "Support",
    "Travel",
)
ROLES = {
    "Analyst": "Answers questions about figures, with the query behind each answer.",
    "Assistant": "Answers questions and looks up what it does not know.",
    "Auditor": "Compares what was done with what the rules ask for.",
    "Monitor": "Reports what differs from the day before.",
    "Planner": "Breaks a request into steps, and assigns them.",
    "Reviewer": "Reads drafts and names what has to change.",
    "Scheduler": "Finds times that suit everybody, and books them.",
    "Summarizer": "Writes one page about many.",
    "Translator": "Translates documents, and keeps a glossary.",
    "Triage": "Sorts what arrives by urgency and hands it on.",
}
MODELS = ("claude-haiku-4-5", "claude-sonnet-4-5", "claude-opus-4-5")
TOOLS = {
    "calculator": (ToolKind.BUILTIN, "Evaluates an arithmetic expression."),
    "clock": (ToolKind.BUILTIN, "Returns the time in a time zone."),
    "read_document": (ToolKind.BUILTIN, "Returns the text of a document that was uploaded."),
    "create_ticket": (ToolKind.HTTP, "Creates a ticket and returns its number."),
    "find_customer": (ToolKind.HTTP, "Finds customers by name, address or number."),
    "send_email": (ToolKind.HTTP, "Sends an email in the name of the agent."),
    "calendar": (ToolKind.MCP, "Reads and books the calendars of a team."),
    "warehouse": (ToolKind.MCP, "Runs a read-only query in the data warehouse."),
}
TEAMS = ("backoffice", "dashboard", "mobile", "partners", "website")
TIME_ZONES = ("America/New_York", "Asia/Tokyo", "Europe/Berlin", "UTC")


def seed(session: Session) -> None:
    """Insert what is missing of the rows; those that are there already stay as they are."""
    random = Random(20_261_123)
    agents = list(_agents(random))
    tools = list(_tools())
    versions = list(_versions(random, agents))
    deployments = list(_deployments(random, versions))
    schedules = list(_schedules(random, deployments))
    keys = list(_api_keys())
    runs = list(_runs(random, deployments, schedules, keys))
    for model, rows in (
        (Agent, agents),
        (Tool, tools),
        (AgentVersion, versions),
        (ToolGrant, list(_tool_grants(random, agents, tools))),
        (Deployment, deployments),
        (Schedule, schedules),
        (ApiKey, keys),
        (ApiKeyGrant, list(_api_key_grants(random, agents, keys))),
    ):
        _insert_missing(session, model, rows)
    new = _insert_missing(session, Run, runs)
    events = list(_run_events(random, runs, tools))
    _insert_missing(session, RunEvent, [event for event in events if event["run_id"] in new])


def _insert_missing(session: Session, model: type[Base], rows: Sequence[Row]) -> set[Any]:
    """Insert those of *rows* whose key is free; return the first column of their keys."""
    table = model.__table__
    assert isinstance(table, Table)
    if not rows:
        return set()
    statement = insert(table).on_conflict_do_nothing().returning(next(iter(table.primary_key)))
    return set(session.execute(statement, rows).scalars())


def _id(*parts: object) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_URL, "/".join(map(str, parts)))


def _ago(random: Random, *, days: int) -> datetime:
    return NOW - timedelta(seconds=random.randrange(3600, days * 86_400))


def _agents(random: Random) -> Iterator[Row]:
    states = [AgentStatus.ACTIVE] * 8 + [AgentStatus.DRAFT, AgentStatus.ARCHIVED]
    for area, role in product(AREAS, ROLES):
        created = _ago(random, days=365)
        yield {
            "id": _id("agent", area, role),
            "slug": f"{area}-{role}".lower(),
            "name": f"{area} {role}",
            "description": ROLES[role],
            "status": random.choice(states),
            "labels": [area.lower(), *(["pilot"] if random.random() < 0.2 else [])],
            "created_at": created,
            "updated_at": created,
        }


def _versions(random: Random, agents: Iterable[Row]) -> Iterator[Row]:
    for agent in agents:
        for number in range(1, random.randint(1, 3) + 1):
            yield {
                "agent_id": agent["id"],
                "number": number,
                "model": random.choice(MODELS),
                "system_prompt": f"You are {agent['name']}. {agent['description']}",
                "temperature": random.choice([None, Decimal("0.20"), Decimal("0.70")]),
                "max_output_tokens": random.choice([None, 1024, 4096]),
                "parameters": {"stop": ["END"]} if number > 1 else {},
                "created_at": agent["created_at"] + timedelta(days=number),
            }


def _tools() -> Iterator[Row]:
    for name, (kind, description) in TOOLS.items():
        is_remote = kind is not ToolKind.BUILTIN
        yield {
            "id": _id("tool", name),
            "name": name,
            "kind": kind,
            "description": description,
            "endpoint_url": f"https://tools.example.com/{name}" if is_remote else None,
            "input_schema": {"type": "object", "properties": {"query": {"type": "string"}}},
            "created_at": NOW - timedelta(days=400),
            "updated_at": NOW - timedelta(days=400),
        }


def _tool_grants(random: Random, agents: Iterable[Row], tools: Sequence[Row]) -> Iterator[Row]:
    for agent in agents:
        for tool in random.sample(tools, 3):
            yield {
                "agent_id": agent["id"],
                "tool_id": tool["id"],
                "permission": random.choice(list(ToolPermission)),
                "max_calls_per_run": random.choice([None, 5, 20]),
                "created_at": agent["created_at"],
            }


def _deployments(random: Random, versions: Sequence[Row]) -> Iterator[Row]:
    """Yield one deployment for the newest version of each agent."""
    newest = {version["agent_id"]: version for version in versions}
    for agent, version in newest.items():
        created = version["created_at"] + timedelta(hours=1)
        yield {
            "id": _id("deployment", agent),
            "agent_id": agent,
            "version_number": version["number"],
            "environment": random.choice(list(DeploymentEnvironment)),
            "max_concurrent_runs": random.choice([1, 2, 8]),
            "settings": {},
            "retired_at": None,
            "created_at": created,
            "updated_at": created,
        }


def _schedules(random: Random, deployments: Iterable[Row]) -> Iterator[Row]:
    for deployment in deployments:
        if random.random() < 0.3:
            yield {
                "id": _id("schedule", deployment["id"]),
                "deployment_id": deployment["id"],
                "cron": f"{random.randrange(60)} {random.randrange(24)} * * 1-5",
                "time_zone": random.choice(TIME_ZONES),
                "input": {"query": "what is new since yesterday"},
                "enabled": random.random() < 0.9,
                "next_run_at": NOW + timedelta(minutes=random.randrange(1, 1440)),
                "created_at": deployment["created_at"],
                "updated_at": deployment["created_at"],
            }


def _api_keys() -> Iterator[Row]:
    for number, team in enumerate(TEAMS):
        yield {
            "id": _id("api key", team),
            "name": f"{team}-development",
            "prefix": f"dev-{number:08}",
            # Of no secret that opens anything.
            "secret_digest": hashlib.sha256(team.encode()).digest(),
            "expires_at": None,
            "last_used_at": NOW,
            "revoked_at": None,
            "created_at": NOW - timedelta(days=100),
            "updated_at": NOW,
        }


def _api_key_grants(random: Random, agents: Sequence[Row], keys: Iterable[Row]) -> Iterator[Row]:
    for key in keys:
        for agent in random.sample(agents, 20):
            yield {
                "api_key_id": key["id"],
                "agent_id": agent["id"],
                "access": random.choice(list(ApiKeyAccess)),
                "created_at": key["created_at"],
            }


def _runs(
    random: Random, deployments: Iterable[Row], schedules: Iterable[Row], keys: Sequence[Row]
) -> Iterator[Row]:
    scheduled = {schedule["deployment_id"]: schedule["id"] for schedule in schedules}
    states = [RunStatus.SUCCEEDED] * 16 + [RunStatus.FAILED, RunStatus.CANCELLED]
    for deployment, number in product(deployments, range(RUNS_OF_A_DEPLOYMENT)):
        schedule = scheduled.get(deployment["id"])
        # The newest one of some deployments is still at work.
        is_open = number == 0 and random.random() < 0.1
        status = RunStatus.RUNNING if is_open else random.choice(states)
        started = _ago(random, days=1 if is_open else 30)
        finished = started + timedelta(seconds=random.randrange(2, 300))
        succeeded, failed = status is RunStatus.SUCCEEDED, status is RunStatus.FAILED
        tokens = random.randrange(200, 8000), random.randrange(50, 2000)
        yield {
            "id": _id("run", deployment["id"], number),
            "deployment_id": deployment["id"],
            "schedule_id": schedule,
            "api_key_id": None if schedule else random.choice(keys)["id"],
            "trigger": RunTrigger.SCHEDULE if schedule else RunTrigger.API,
            "status": status,
            "input": {"query": f"request {number + 1}"},
            "output": {"text": "done"} if succeeded else None,
            "error": "the tool did not answer in time" if failed else None,
            "prompt_tokens": tokens[0],
            "completion_tokens": tokens[1],
            "cost_usd": Decimal(tokens[0] * 3 + tokens[1] * 15) / 1_000_000,
            "started_at": started,
            "finished_at": None if is_open else finished,
            "created_at": started,
            "updated_at": started if is_open else finished,
        }


def _run_events(random: Random, runs: Iterable[Row], tools: Sequence[Row]) -> Iterator[Row]:
    """Yield the events of each run: a message, calls of tools with their results, an answer."""
    for run in runs:
        tool = random.choice(tools)["id"]
        for position in range(1, EVENTS_OF_A_RUN + 1):
            is_message = position in (1, EVENTS_OF_A_RUN)
            called = RunEventKind.TOOL_CALL if position % 2 == 0 else RunEventKind.TOOL_RESULT
            yield {
                "run_id": run["id"],
                "position": position,
                "kind": RunEventKind.MESSAGE if is_message else called,
                "tool_id": None if is_message else tool,
                "payload": {"text": f"step {position}"},
                "created_at": run["started_at"] + timedelta(milliseconds=150 * position),
            }
