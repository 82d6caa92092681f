"""The service's models at work, each test in a migrated database of its own."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from agent_management_service.models import Agent, AgentStatus


def agent(slug: str) -> Agent:
    return Agent(slug=slug, name="An agent")


def count(session: Session) -> int | None:
    return session.scalar(select(func.count()).select_from(Agent))


def test_a_new_agent_is_a_draft(session: Session) -> None:
    session.add(agent("one"))
    session.commit()
    assert session.scalars(select(Agent.status)).all() == [AgentStatus.DRAFT]


def test_nothing_of_another_test_is_seen(session: Session, engine: Engine) -> None:
    session.add(agent("one"))
    session.commit()
    with Session(engine) as other:
        assert count(other) == 1


def test_a_slug_is_unique_whatever_its_case(session: Session) -> None:
    session.add_all((agent("one"), agent("ONE")))
    with pytest.raises(IntegrityError):
        session.commit()
