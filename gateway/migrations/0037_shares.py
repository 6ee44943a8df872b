import secrets

from django.db import migrations, models

import gateway.models.configuration.model_mapping


def give_salts(apps, schema_editor):
    """Each mapping a salt of its own: the default of a new column is one value for all rows."""
    mappings = apps.get_model("gateway", "ModelMapping")
    for pk in mappings.objects.values_list("pk", flat=True):
        mappings.objects.filter(pk=pk).update(salt=secrets.token_hex(8))


class Migration(migrations.Migration):

    dependencies = [
        ('gateway', '0036_conditions_of_mappings'),
    ]

    operations = [
        migrations.AddField(
            model_name='mappingtarget',
            name='weight',
            field=models.FloatField(blank=True, help_text='Its share of the sessions, relative to the other weights. Empty: it only stands in when those in front of it cannot answer. No target has a weight: the first one gets all.', null=True, verbose_name='weight'),
        ),
        migrations.AddField(
            model_name='modelmapping',
            name='salt',
            field=models.CharField(blank=True, db_default='', default=gateway.models.configuration.model_mapping.new_salt, editable=False, help_text='What sessions are divided among the targets by. With another one they are divided anew.', max_length=64, verbose_name='salt'),
        ),
        migrations.RunPython(give_salts, migrations.RunPython.noop),
        migrations.AddField(
            model_name='requestlog',
            name='arm',
            field=models.CharField(blank=True, db_default='', default='', max_length=255),
        ),
        migrations.AddField(
            model_name='requestlog',
            name='arm_share',
            field=models.FloatField(blank=True, null=True),
        ),
        migrations.AddIndex(
            model_name='requestlog',
            index=models.Index(condition=models.Q(('arm', ''), _negated=True), fields=['mapping_pk', 'started_at'], name='log_arm_time'),
        ),
    ]
