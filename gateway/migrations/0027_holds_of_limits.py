"""What a request holds of a budget while it runs, and the lineage of rotated keys."""

from django.db import migrations, models


def fill_lineage(apps, schema_editor):
    """The first of the keys that each was rotated from."""
    ClientKey = apps.get_model("gateway", "ClientKey")
    rotated = dict(ClientKey.objects.exclude(rotated_to=None).values_list("rotated_to_id", "pk"))
    for key in rotated:
        first = key
        # each key has one that it was rotated from, at most
        while first in rotated:
            first = rotated[first]
        ClientKey.objects.filter(pk=key).update(lineage=first)


class Migration(migrations.Migration):

    dependencies = [
        ('gateway', '0026_origins_of_secrets'),
    ]

    operations = [
        migrations.CreateModel(
            name='LimitHold',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('account', models.CharField(max_length=100)),
                ('request', models.CharField(max_length=64)),
                ('amount', models.BigIntegerField()),
                ('ended', models.BooleanField(default=False)),
                ('expires', models.BigIntegerField(db_index=True)),
            ],
            options={
                'default_permissions': (),
            },
        ),
        # the table stays for this version: processes of the one before may still count in it
        migrations.SeparateDatabaseAndState(state_operations=[migrations.DeleteModel(name='LimitPlace')]),
        migrations.AddField(
            model_name='clientkey',
            name='lineage',
            field=models.PositiveBigIntegerField(blank=True, db_index=True, editable=False, null=True, verbose_name='first of its rotated keys'),
        ),
        migrations.AddField(
            model_name='limitcounter',
            name='held',
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='limitcounter',
            name='reconciled',
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddIndex(
            model_name='dailytotal',
            index=models.Index(fields=['client_key_pk', 'hour'], name='daily_of_key'),
        ),
        migrations.AddConstraint(
            model_name='limithold',
            constraint=models.UniqueConstraint(fields=('account', 'request'), name='limit_hold'),
        ),
        migrations.RunPython(fill_lineage, migrations.RunPython.noop),
    ]
