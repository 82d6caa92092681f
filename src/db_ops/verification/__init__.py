"""Models, migrations and database compared."""
