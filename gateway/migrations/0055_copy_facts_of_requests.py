from django.db import migrations
from django.db.models import BooleanField, Case, CharField, IntegerField, Max, Value, When
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce, Left

FLAGS = ('thinking', 'pdfs', 'web_search', 'structured_output')
AT_ONCE = 20_000


def copy(apps, schema_editor):
    """Fill the new columns of the rows that have facts."""
    rows = apps.get_model('gateway', 'RequestLog').objects.using(schema_editor.connection.alias).order_by()
    last = rows.aggregate(last=Max('pk'))['last'] or 0
    flags = {
        name: Case(When(**{f'facts__{name}': True}, then=Value(True)), default=Value(False), output_field=BooleanField())
        for name in FLAGS
    }
    for start in range(0, last + 1, AT_ONCE):
        rows.filter(pk__gte=start, pk__lt=start + AT_ONCE).exclude(facts={}).update(
            effort=Left(Coalesce(KT('facts__effort'), Value(''), output_field=CharField()), 20),
            tools_offered=Coalesce(Cast(KT('facts__tools'), IntegerField()), Value(0)),
            **flags,
        )


class Migration(migrations.Migration):

    dependencies = [
        ('gateway', '0054_facts_of_requests'),
    ]

    operations = [
        migrations.RunPython(copy, migrations.RunPython.noop),
    ]
