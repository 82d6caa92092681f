"""Every table of the service; importing this package completes `Base.metadata`."""

from agent_management_service.models.agents import Agent, AgentStatus, AgentVersion
from agent_management_service.models.api_keys import ApiKey, ApiKeyAccess, ApiKeyGrant
from agent_management_service.models.base import Base
from agent_management_service.models.deployments import Deployment, DeploymentEnvironment, Schedule
from agent_management_service.models.runs import Run, RunEvent, RunEventKind, RunStatus, RunTrigger
from agent_management_service.models.tools import Tool, ToolGrant, ToolKind, ToolPermission

__all__ = [
    "Agent",
    "AgentStatus",
    "AgentVersion",
    "ApiKey",
    "ApiKeyAccess",
    "ApiKeyGrant",
    "Base",
    "Deployment",
    "DeploymentEnvironment",
    "Run",
    "RunEvent",
    "RunEventKind",
    "RunStatus",
    "RunTrigger",
    "Schedule",
    "Tool",
    "ToolGrant",
    "ToolKind",
    "ToolPermission",
]
