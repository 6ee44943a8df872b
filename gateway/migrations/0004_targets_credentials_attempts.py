"""Ordered targets of a mapping, several credentials of a provider, and a row for each attempt."""

import django.db.models.deletion
import gateway.models.base
from django.db import migrations, models


def convert(apps, schema_editor):
    """What stood in one row becomes the first target and the first credential."""
    ModelMapping = apps.get_model("gateway", "ModelMapping")
    MappingTarget = apps.get_model("gateway", "MappingTarget")
    for mapping in ModelMapping.objects.all():
        MappingTarget.objects.create(
            mapping=mapping,
            provider_id=mapping.provider_id,
            upstream_model=mapping.upstream_model,
            model_family=mapping.model_family,
        )
    Provider = apps.get_model("gateway", "Provider")
    ProviderCredential = apps.get_model("gateway", "ProviderCredential")
    for provider in Provider.objects.all():
        # the environment's stands for a variable and is made at the next start
        if provider.credential and provider.origin != "environment":
            ProviderCredential.objects.create(provider=provider, value=provider.credential)
    # PostgreSQL alters no table while a constraint waits to be checked
    schema_editor.connection.check_constraints()


class Migration(migrations.Migration):

    dependencies = [
        ('gateway', '0003_history_facts'),
    ]

    operations = [
        migrations.CreateModel(
            name='MappingTarget',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('position', models.IntegerField(default=0, help_text='Smaller numbers are tried first.')),
                ('upstream_model', models.CharField(blank=True, default='', help_text='The name sent to the provider. Empty: the asked name. * stands for what the first * of the pattern matched.', max_length=200)),
                ('model_family', models.CharField(blank=True, default='', help_text="Which model it really is, when the upstream name hides it (an Azure deployment). The preset's rules look at this name.", max_length=200)),
                ('enabled', models.BooleanField(default=True)),
                ('mapping', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='targets', to='gateway.modelmapping')),
                ('provider', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='targets', to='gateway.provider')),
            ],
            options={
                'ordering': ['position', 'pk'],
            },
        ),
        migrations.CreateModel(
            name='ProviderCredential',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('label', models.CharField(blank=True, default='', help_text='Its name in the history, never the secret itself.', max_length=60)),
                ('value', gateway.models.base.EncryptedTextField(blank=True, default='', verbose_name='credential')),
                ('position', models.IntegerField(default=0)),
                ('enabled', models.BooleanField(default=True)),
                ('origin', models.CharField(choices=[('admin', 'admin'), ('environment', 'from the environment'), ('demo', 'demo')], default='admin', editable=False, max_length=20)),
                ('set_aside_since', models.DateTimeField(blank=True, editable=False, null=True)),
                ('set_aside_until', models.DateTimeField(blank=True, editable=False, null=True)),
                ('set_aside_status', models.PositiveSmallIntegerField(blank=True, editable=False, null=True)),
                ('set_aside_reason', models.CharField(blank=True, default='', editable=False, max_length=300)),
                ('provider', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='credentials', to='gateway.provider')),
            ],
            options={
                'verbose_name': 'credential',
                'verbose_name_plural': 'credentials',
                'ordering': ['position', 'pk'],
            },
        ),
        migrations.CreateModel(
            name='Attempt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveSmallIntegerField()),
                ('started_at', models.DateTimeField()),
                ('provider', models.CharField(max_length=50)),
                ('upstream_model', models.CharField(max_length=200)),
                ('credential', models.CharField(blank=True, default='', max_length=60)),
                ('state', models.CharField(choices=[('ok', 'answered'), ('error', 'failed'), ('cancelled', 'cancelled by client'), ('broken', 'broken by the provider'), ('interrupted', 'interrupted by a restart')], max_length=12)),
                ('status', models.PositiveSmallIntegerField(blank=True, null=True)),
                ('error_type', models.CharField(blank=True, default='', max_length=60)),
                ('error_message', models.CharField(blank=True, default='', max_length=1000)),
                ('first_byte_ms', models.PositiveIntegerField(blank=True, null=True)),
                ('duration_ms', models.PositiveIntegerField(blank=True, null=True)),
                ('next_step', models.CharField(blank=True, choices=[('', 'nothing'), ('answered', 'its answer went to the client'), ('again', 'tried again'), ('credential', 'tried with another credential'), ('target', 'tried at the next target'), ('gave_up', 'the client was told the error')], default='', max_length=12)),
                ('pause_ms', models.PositiveIntegerField(blank=True, null=True)),
                ('upstream_request_id', models.CharField(blank=True, default='', max_length=200)),
                ('log', models.ForeignKey(db_column='request_id', db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='tries', to='gateway.requestlog', to_field='request_id')),
            ],
            options={
                'ordering': ['log', 'number'],
                'constraints': [models.UniqueConstraint(fields=('log', 'number'), name='attempt_number')],
            },
        ),
        migrations.RunPython(convert, migrations.RunPython.noop),
        migrations.RemoveField(
            model_name='modelmapping',
            name='model_family',
        ),
        migrations.RemoveField(
            model_name='modelmapping',
            name='provider',
        ),
        migrations.RemoveField(
            model_name='modelmapping',
            name='upstream_model',
        ),
        migrations.RemoveField(
            model_name='provider',
            name='credential',
        ),
    ]
