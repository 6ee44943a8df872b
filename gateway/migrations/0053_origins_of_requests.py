from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('gateway', '0052_reason_of_verdicts'),
    ]

    operations = [
        migrations.CreateModel(
            name='DailyOrigin',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('hour', models.PositiveIntegerField()),
                ('kind', models.CharField(choices=[('client', 'Client'), ('folder', 'Folder')], max_length=6)),
                ('name', models.CharField(max_length=200)),
                ('owner_id', models.BigIntegerField(default=0)),
                ('requests', models.BigIntegerField(default=0)),
                ('failed', models.BigIntegerField(default=0)),
                ('input_tokens', models.BigIntegerField(default=0)),
                ('output_tokens', models.BigIntegerField(default=0)),
                ('cache_read_tokens', models.BigIntegerField(default=0)),
                ('cache_write_tokens', models.BigIntegerField(default=0)),
                ('cost_units', models.BigIntegerField(default=0)),
                ('unpriced', models.BigIntegerField(default=0)),
            ],
            options={
                'abstract': False,
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='HourlyOrigin',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('hour', models.PositiveIntegerField()),
                ('kind', models.CharField(choices=[('client', 'Client'), ('folder', 'Folder')], max_length=6)),
                ('name', models.CharField(max_length=200)),
                ('owner_id', models.BigIntegerField(default=0)),
                ('requests', models.BigIntegerField(default=0)),
                ('failed', models.BigIntegerField(default=0)),
                ('input_tokens', models.BigIntegerField(default=0)),
                ('output_tokens', models.BigIntegerField(default=0)),
                ('cache_read_tokens', models.BigIntegerField(default=0)),
                ('cache_write_tokens', models.BigIntegerField(default=0)),
                ('cost_units', models.BigIntegerField(default=0)),
                ('unpriced', models.BigIntegerField(default=0)),
            ],
            options={
                'abstract': False,
                'default_permissions': (),
            },
        ),
        migrations.AddField(
            model_name='requestlog',
            name='folder',
            field=models.CharField(blank=True, db_default='', default='', max_length=200),
        ),
        migrations.AddIndex(
            model_name='requestlog',
            index=models.Index(fields=['client', '-started_at'], name='log_client_time'),
        ),
        migrations.AddConstraint(
            model_name='dailyorigin',
            constraint=models.UniqueConstraint(fields=('hour', 'kind', 'name', 'owner_id'), name='dailyorigin_slot'),
        ),
        migrations.AddConstraint(
            model_name='hourlyorigin',
            constraint=models.UniqueConstraint(fields=('hour', 'kind', 'name', 'owner_id'), name='hourlyorigin_slot'),
        ),
    ]
