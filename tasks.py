"""The project's tasks, assembled: `inv --list` shows them."""

from invoke.collection import Collection

from db_ops.cli import collection as db
from scripts.checks import bench, lint, schemas, screenshots, test, test_all, test_faults

namespace = Collection(db, bench, lint, schemas, screenshots, test, test_all, test_faults)
