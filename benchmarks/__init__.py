"""What `db_ops` costs beside its neighbours, measured in one run on one server."""
