from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('gateway', '0046_service_tier'),
    ]

    operations = [
        migrations.AddField(
            model_name='contentblob',
            name='marked',
            field=models.IntegerField(null=True),
        ),
        migrations.AddField(
            model_name='contentnode',
            name='marked',
            field=models.IntegerField(null=True),
        ),
    ]
