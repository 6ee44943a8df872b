"""Whose contents a request's are: the owner of its key at the time, and not whoever owns the key later.

A request that is stored already gets the present owner of its key, unless the log of changes says that the
key had another owner then: what is older than the key's last change of owner belongs to nobody, and is read
by those with the right to read contents alone.
"""

from django.db import migrations, models


def give(apps, schema_editor):
    using = schema_editor.connection.alias
    entries = apps.get_model("admin", "LogEntry").objects.using(using)
    logs = apps.get_model("gateway", "RequestLog").objects.using(using)
    for key in apps.get_model("gateway", "ClientKey").objects.using(using).exclude(user_id=None):
        rows = logs.filter(client_key_id=key.pk)
        changes = entries.filter(
            content_type__app_label="gateway",
            content_type__model="clientkey",
            object_id=str(key.pk),
            action_flag=2,
            change_message__contains='"user_id"',
        )
        last = changes.order_by("-action_time").values_list("action_time", flat=True).first()
        if last is not None:
            rows = rows.filter(started_at__gte=last)
        rows.update(owner_id=key.user_id)


class Migration(migrations.Migration):
    dependencies = [
        ("gateway", "0027_holds_of_limits"),
        ("admin", "0003_logentry_add_action_flag_choices"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="clientkey",
            options={
                "ordering": ["-created", "-pk"],
                "permissions": [("assign_clientkey", "Can set the owner of client keys")],
                "verbose_name": "client key",
                "verbose_name_plural": "client keys",
            },
        ),
        migrations.AddField(
            model_name="requestlog",
            name="owner_id",
            field=models.BigIntegerField(blank=True, editable=False, null=True),
        ),
        migrations.RunPython(give, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="requestlog",
            index=models.Index(
                condition=models.Q(("owner_id", None), _negated=True),
                fields=["owner_id", "-started_at"],
                name="log_owner_time",
            ),
        ),
    ]
