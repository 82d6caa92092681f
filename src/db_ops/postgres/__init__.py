"""What is sent to a PostgreSQL server, with psycopg2."""
