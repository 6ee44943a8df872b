import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('gateway', '0047_marked_pieces'),
    ]

    operations = [
        migrations.AddField(
            model_name='refreshtoken',
            name='predecessor',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='successors', to='gateway.refreshtoken'),
        ),
        migrations.AddField(
            model_name='refreshtoken',
            name='superseded',
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
