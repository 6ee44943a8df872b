from django.db import migrations, models


def without_empty_lists(apps, schema_editor):
    """An empty list of classes meant every request; it is now written by leaving the list out."""
    mappings = apps.get_model("gateway", "ModelMapping").objects
    for mapping in mappings.exclude(when={}):
        if mapping.when.get("class") == []:
            del mapping.when["class"]
            mapping.save(update_fields=["when"])


class Migration(migrations.Migration):

    dependencies = [
        ('gateway', '0035_sessions_by_context'),
    ]

    operations = [
        migrations.AddField(
            model_name='modelmapping',
            name='skips_blind',
            field=models.BooleanField(db_default=False, default=False, help_text='Targets that cannot see images are left out for requests that carry some, as long as another target is left. Otherwise such a target gets a marker for each image, and the ledger says so.', verbose_name='images only to models that see them'),
        ),
        migrations.AddField(
            model_name='requestlog',
            name='facts',
            field=models.JSONField(blank=True, db_default={}, default=dict),
        ),
        migrations.RunPython(without_empty_lists, migrations.RunPython.noop),
    ]
