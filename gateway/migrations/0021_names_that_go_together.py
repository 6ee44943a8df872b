"""Tell PostgreSQL which providers and models go together; it costs nothing when a row is written.

Without it the combination of two filters that no request passes is thought to be common, and the whole
history is walked through in order of time.
"""

from django.db import migrations

MAKE = """
CREATE STATISTICS IF NOT EXISTS gateway_history_names (mcv)
ON provider, upstream_model, asked_model FROM gateway_requestlog
"""


def make(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(MAKE)


def drop(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP STATISTICS IF EXISTS gateway_history_names")


class Migration(migrations.Migration):
    dependencies = [("gateway", "0020_rights_over_records")]

    operations = [migrations.RunPython(make, drop)]
