"""All that is said to a PostgreSQL server, in psycopg2's words."""
