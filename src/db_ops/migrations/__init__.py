"""What is sent to Alembic: the revision graph, running revisions, writing new ones."""
