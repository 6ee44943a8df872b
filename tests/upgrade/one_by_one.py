"""Databases as they were made before migrations were squashed: one migration after the other."""

from tests.server.conftest import manage

_SCRIPT = """
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
executor = MigrationExecutor(connection)
executor.loader.replace_migrations = False
executor.loader.build_graph()
executor.migrate([("gateway", {name!r})])
"""


def migrate_to(name: str, env: dict[str, str]) -> None:
    """Apply the migrations of the gateway as far as `name`, each by itself."""
    manage("shell", "--verbosity", "0", "--command", _SCRIPT.format(name=name), env=env)
