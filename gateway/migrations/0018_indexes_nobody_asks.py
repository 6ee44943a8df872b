"""Without the index for prefixes of a body's request id on PostgreSQL: nobody looks for one."""

from django.db import migrations

INDEX = "gateway_requestbody_request_id_e4298618_like"


def drop(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP INDEX IF EXISTS {INDEX}")


def make(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            f"CREATE INDEX IF NOT EXISTS {INDEX} ON gateway_requestbody (request_id varchar_pattern_ops)"
        )


class Migration(migrations.Migration):
    dependencies = [("gateway", "0017_learnt_options")]

    operations = [migrations.RunPython(drop, make)]
