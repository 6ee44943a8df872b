import secrets

import django.core.validators
import django.db.models.deletion
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
            index=models.Index(condition=models.Q(('arm', ''), _negated=True), fields=['mapping_pk', 'arm', '-started_at'], name='log_arm_time'),
        ),
        migrations.CreateModel(
            name='Ramp',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('starts_at', models.DateTimeField(blank=True, help_text='Empty: at once.', null=True, verbose_name='starts at')),
                ('steps', models.JSONField(default=list, verbose_name='steps')),
                ('guard_errors', models.FloatField(blank=True, help_text='Percentage points more than the other targets.', null=True, validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(100)], verbose_name='failures')),
                ('guard_first_byte', models.FloatField(blank=True, help_text='Percent slower than the other targets, for 95 of 100 requests.', null=True, validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(10000)], verbose_name='first byte')),
                ('guard_tools', models.FloatField(blank=True, help_text='Percentage points more than the other targets.', null=True, validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(100)], verbose_name='failed tool calls')),
                ('guard_cost', models.FloatField(blank=True, help_text='Percent more than with the other targets.', null=True, validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(10000)], verbose_name='cost of a session')),
                ('guard_sessions', models.PositiveIntegerField(default=10, validators=[django.core.validators.MinValueValidator(1)], verbose_name='sessions before a guard judges')),
                ('guard_minutes', models.PositiveIntegerField(default=15, help_text='It also looks at the whole step.', validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(1440)], verbose_name='minutes that a guard looks back')),
                ('state', models.CharField(choices=[('waiting', 'waiting'), ('running', 'running'), ('paused', 'paused'), ('done', 'done'), ('rolled_back', 'rolled back')], default='waiting', editable=False, max_length=12, verbose_name='state')),
                ('step', models.PositiveSmallIntegerField(default=0, editable=False, verbose_name='step')),
                ('step_since', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='step since')),
                ('ended_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='ended')),
                ('figures', models.JSONField(blank=True, default=dict, editable=False, verbose_name='figures')),
                ('mapping', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='ramps', to='gateway.modelmapping', verbose_name='model mapping')),
                ('target', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='ramps', to='gateway.mappingtarget', verbose_name='new target')),
            ],
            options={
                'verbose_name': 'ramp',
                'verbose_name_plural': 'ramps',
                'ordering': ['-pk'],
                'constraints': [models.UniqueConstraint(condition=models.Q(('state__in', ['waiting', 'running', 'paused'])), fields=('mapping',), name='one_ramp_of_mapping', violation_error_message='The mapping has a ramp already. End it first.')],
            },
        ),
        migrations.CreateModel(
            name='Shadow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('upstream_model', models.CharField(max_length=200, verbose_name='upstream model')),
                ('share', models.FloatField(help_text='Percent.', validators=[django.core.validators.MinValueValidator(0.01), django.core.validators.MaxValueValidator(100)], verbose_name='share of the requests')),
                ('daily_cap', models.DecimalField(decimal_places=4, help_text='US dollars, in a day of UTC. Requests under way may pass it. The target needs a price.', max_digits=12, validators=[django.core.validators.MinValueValidator(0)], verbose_name='most to spend in a day')),
                ('concurrency', models.PositiveSmallIntegerField(default=2, help_text='In one process. What comes while they are under way is left out.', validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(32)], verbose_name='at a time')),
                ('enabled', models.BooleanField(default=True, verbose_name='enabled')),
                ('released', models.BooleanField(default=False, help_text='Requests may go to this provider whoever made them. Otherwise only those whose client key could have been routed there.', verbose_name='contents released')),
                ('mapping', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='shadow', to='gateway.modelmapping', verbose_name='model mapping')),
                ('provider', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='gateway.provider', verbose_name='provider')),
            ],
            options={
                'verbose_name': 'shadow',
                'verbose_name_plural': 'shadows',
                'permissions': [('release_contents', 'Can release contents for a shadow')],
            },
        ),
        migrations.AlterField(
            model_name='requestlog',
            name='endpoint',
            field=models.CharField(choices=[('messages', 'messages'), ('count_tokens', 'count tokens'), ('replay', 'replay'), ('shadow', 'shadow')], default='messages', max_length=20),
        ),
        migrations.AddIndex(
            model_name='requestlog',
            index=models.Index(condition=models.Q(('endpoint', 'shadow')), fields=['mapping_pk', 'started_at'], name='log_shadow_time'),
        ),
        # last: PostgreSQL alters no table that has changes pending
        migrations.RunPython(give_salts, migrations.RunPython.noop),
    ]
