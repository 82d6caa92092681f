"""Manage AI agents: what they are, what they may use, where they run and what they did."""
