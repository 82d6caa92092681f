"""The words of other tools, and the command lines that do here what those do there."""

from __future__ import annotations

# Alembic, Flask-Migrate, Django, Rails, Laravel, Prisma, Flyway, Liquibase, dbmate, goose.
ELSEWHERE = {
    "apply": "upgrade",
    "autogenerate": "create-migration -m MESSAGE",
    "check": "verify",
    "console": "shell",
    "create": "init",
    "create-db": "init",
    "current": "status",
    "dbshell": "shell",
    "deploy": "upgrade",
    "diff": "verify",
    "down": "downgrade",
    "drop": "delete-db",
    "drop-db": "delete-db",
    "fresh": "recreate",
    "generate": "create-migration -m MESSAGE",
    "heads": "history",
    "info": "history",
    "loaddata": "seed",
    "log": "history",
    "makemigrations": "create-migration -m MESSAGE",
    "merge": "create-migration --rebase REVISION",
    "migrate": "upgrade",
    "prepare": "init",
    "psql": "shell",
    "reset": "recreate",
    "revert": "downgrade",
    "revision": "create-migration -m MESSAGE",
    "rollback": "downgrade",
    "setup": "init",
    "show": "history",
    "showmigrations": "history",
    "sqlmigrate": "upgrade --sql",
    "up": "upgrade",
    "update": "upgrade",
    "validate": "verify",
    "version": "status",
}

# What is typed to see the commands.
LISTING = ("help", "list", "ls")
