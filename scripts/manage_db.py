"""The same commands as `inv db.*`, without `inv`."""

from db_ops.cli.program import main

main()
