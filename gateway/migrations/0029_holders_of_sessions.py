"""A session is an id and its holder: a client chooses the id, and another may send the same."""

from django.db import migrations, models
from django.db.models import Max, Q

TABLE = "gateway_sessiontotal"
COPY = "gateway_sessiontotal_before"
KEPT = (
    "session_id, client_key_id, key_name, client, first_at, last_at, requests, failed, retries, agents, "
    "input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cost, tool_count, busy_ms"
)
FIELDS = [
    ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
    ("session_id", models.CharField(max_length=128)),
    ("holder", models.CharField(blank=True, db_default="", default="", max_length=32)),
    ("client_key_id", models.BigIntegerField(blank=True, null=True)),
    ("key_name", models.CharField(blank=True, default="", max_length=100)),
    ("client", models.CharField(blank=True, default="", max_length=200)),
    ("first_at", models.DateTimeField()),
    ("last_at", models.DateTimeField()),
    ("requests", models.PositiveIntegerField(default=0)),
    ("failed", models.PositiveIntegerField(default=0)),
    ("retries", models.PositiveIntegerField(default=0)),
    ("agents", models.PositiveIntegerField(default=0)),
    ("input_tokens", models.PositiveBigIntegerField(default=0)),
    ("output_tokens", models.PositiveBigIntegerField(default=0)),
    ("cache_read_tokens", models.PositiveBigIntegerField(default=0)),
    ("cache_write_tokens", models.PositiveBigIntegerField(default=0)),
    ("cost", models.DecimalField(blank=True, decimal_places=10, max_digits=20, null=True)),
    ("tool_count", models.PositiveIntegerField(default=0)),
    ("busy_ms", models.PositiveBigIntegerField(default=0)),
]
OPTIONS = {
    "ordering": ["-last_at", "session_id"],
    "verbose_name": "session",
    "verbose_name_plural": "sessions",
    "indexes": [
        models.Index(fields=["-last_at"], name="session_last"),
        models.Index(fields=["client_key_id", "-last_at"], name="session_key_last"),
        models.Index(fields=["holder", "-last_at"], name="session_holder_last"),
    ],
    "constraints": [models.UniqueConstraint(fields=("session_id", "holder"), name="session_of_holder")],
}


def copy(apps, schema_editor):
    # a primary key cannot be exchanged in place on PostgreSQL, and names of indexes are free only now
    schema_editor.execute(f"CREATE TABLE {COPY} AS SELECT {KEPT} FROM {TABLE}")


def bring_back(apps, schema_editor):
    schema_editor.execute(f"INSERT INTO {TABLE} ({KEPT}) SELECT {KEPT} FROM {COPY}")
    schema_editor.execute(f"DROP TABLE {COPY}")


def give(apps, schema_editor):
    """Each session to the holder of its newest request; where there are several, all are counted anew."""
    using = schema_editor.connection.alias
    logs = apps.get_model("gateway", "RequestLog").objects.using(using)
    totals = apps.get_model("gateway", "SessionTotal").objects.using(using)
    keys = apps.get_model("gateway", "ClientKey").objects.using(using)
    follow_ups = apps.get_model("gateway", "FollowUp").objects.using(using)
    lineage = {pk: first or pk for pk, first in keys.values_list("pk", "lineage")}
    newest = {}
    groups = logs.exclude(session_id="").filter(endpoint="messages").order_by()
    for session, owner, key, at in groups.values_list("session_id", "owner_id", "client_key_id").annotate(
        at=Max("started_at")
    ):
        holder = f"user:{owner}" if owner else f"key:{lineage.get(key, key)}" if key else ""
        held = newest.setdefault(session, {})
        held[holder] = max(at, held.get(holder, at))
    for session, held in newest.items():
        last = max(held, key=held.get)
        if last:
            totals.filter(session_id=session).update(holder=last)
        if len(held) > 1:
            # the follow-up of any request of the session counts it
            row = logs.filter(session_id=session, endpoint="messages").order_by("-started_at").first()
            follow_ups.get_or_create(request_id=row.request_id)


class Migration(migrations.Migration):
    dependencies = [
        ("gateway", "0028_owners_of_requests"),
    ]

    operations = [
        migrations.RunPython(copy, migrations.RunPython.noop),
        migrations.DeleteModel(name="SessionTotal"),
        migrations.CreateModel(name="SessionTotal", fields=FIELDS, options=OPTIONS),
        migrations.RunPython(bring_back, migrations.RunPython.noop),
        migrations.RunPython(give, migrations.RunPython.noop),
        migrations.RemoveConstraint(model_name="legalhold", name="hold_of_one_thing"),
        migrations.AlterField(
            model_name="legalhold",
            name="session_id",
            field=models.CharField(
                blank=True,
                db_index=True,
                default="",
                help_text="With a client key: this session of that key. Alone: of everybody who sent this id.",
                max_length=128,
                verbose_name="session id",
            ),
        ),
        migrations.AddConstraint(
            model_name="legalhold",
            constraint=models.CheckConstraint(
                condition=Q(("client_key__isnull", False), Q(("session_id", ""), _negated=True), _connector="OR"),
                name="hold_of_something",
            ),
        ),
    ]
