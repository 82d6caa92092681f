"""Everything that decides a database's schema: read in bulk, compared, and hashed by the server.

Not looked at: subscriptions and user mappings (they hold passwords), settings of databases and
roles, languages, conversions, access methods, and the order of a table's columns.
"""
