from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('gateway', '0049_sign_in_families'),
    ]

    operations = [
        migrations.CreateModel(
            name='FormerUse',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('client_key_pk', models.BigIntegerField()),
                ('owner_id', models.BigIntegerField()),
                ('hour', models.PositiveIntegerField()),
                ('cost_units', models.BigIntegerField(default=0)),
                ('tokens', models.BigIntegerField(default=0)),
            ],
            options={
                'default_permissions': (),
                'indexes': [models.Index(fields=['owner_id', 'hour'], name='former_use_of_owner')],
                'constraints': [models.UniqueConstraint(fields=('client_key_pk', 'owner_id', 'hour'), name='former_use_once')],
            },
        ),
    ]
