"""Which origin each stored secret was saved for. Those that are stored already belong to where they go now."""

from django.db import migrations

import gateway.models.base
from gateway.security.destinations import origin_of


def bind(apps, schema_editor):
    using = schema_editor.connection.alias
    # by update: a save of a historical model would not move the stamp either, and it writes all fields
    for record in apps.get_model("gateway", "Provider").objects.using(using).only("pk", "base_url", "headers"):
        if record.headers:
            type(record).objects.using(using).filter(pk=record.pk).update(headers_origin=origin_of(record.base_url))
    credentials = apps.get_model("gateway", "ProviderCredential").objects.using(using).select_related("provider")
    for record in credentials:
        if record.value:
            credentials.filter(pk=record.pk).update(value_origin=origin_of(record.provider.base_url))
    for record in apps.get_model("gateway", "SearchEngine").objects.using(using):
        if record.credential:
            type(record).objects.using(using).filter(pk=record.pk).update(
                credential_origin=origin_of(record.base_url or record.kind)
            )


class Migration(migrations.Migration):
    dependencies = [("gateway", "0025_tokens_by_class")]

    operations = [
        migrations.AddField(
            model_name="provider",
            name="headers_origin",
            field=gateway.models.base.SecretOriginField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                max_length=500,
                verbose_name="extra headers saved for",
            ),
        ),
        migrations.AddField(
            model_name="providercredential",
            name="value_origin",
            field=gateway.models.base.SecretOriginField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                max_length=500,
                verbose_name="credential saved for",
            ),
        ),
        migrations.AddField(
            model_name="searchengine",
            name="credential_origin",
            field=gateway.models.base.SecretOriginField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                max_length=500,
                verbose_name="credential saved for",
            ),
        ),
        migrations.RunPython(bind, migrations.RunPython.noop),
    ]
