"""`python -m db_ops`."""

from db_ops.cli.program import main

main()
