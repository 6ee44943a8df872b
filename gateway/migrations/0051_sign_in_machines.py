from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('gateway', '0050_former_use'),
    ]

    operations = [
        migrations.AddField(
            model_name='clientkey',
            name='address',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=64, verbose_name='address'),
        ),
        migrations.AddField(
            model_name='clientkey',
            name='client',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=200, verbose_name='client'),
        ),
    ]
