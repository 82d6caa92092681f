"""All that is said to Alembic: the revision graph, running revisions, writing new ones."""
