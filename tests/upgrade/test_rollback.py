"""The code of before serves on the database of after: what a migration adds, its rows need not name."""

import importlib
import pkgutil

import pytest
from django.db import migrations, models
from django.db.models.fields import NOT_PROVIDED

from gateway import migrations as folder

# where the promise begins: the newest migration of the first release with a name
FIRST = "0040_outcomes"
LATER = sorted(name for _, name, _ in pkgutil.iter_modules(folder.__path__) if name > FIRST)


@pytest.mark.parametrize("name", LATER)
def test_a_row_of_the_older_code_lacks_nothing_that_a_migration_added(name):
    made = importlib.import_module(f"gateway.migrations.{name}").Migration.operations
    new = {operation.name.lower() for operation in made if isinstance(operation, migrations.CreateModel)}
    for operation in made:
        # the older code asks for what it knows, under the names it knows
        assert not isinstance(operation, migrations.RemoveField | migrations.DeleteModel), operation
        assert not isinstance(operation, migrations.RenameField | migrations.RenameModel), operation
        if isinstance(operation, migrations.AddField) and operation.model_name.lower() not in new:
            field = operation.field
            spared = field.null or field.db_default is not NOT_PROVIDED
            assert spared or isinstance(field, models.ManyToManyField), (
                f"{operation.model_name}.{operation.name}"
            )
