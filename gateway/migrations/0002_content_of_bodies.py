"""Bodies by content: pieces stored once, and rows that name the ends of their chains.

Bodies from before are kept: each request becomes one piece.
"""

import json
import zlib
from hashlib import sha256

from django.db import migrations, models
from gateway.history.content.codec import compressed


def convert(apps, schema_editor):
    RequestBody = apps.get_model("gateway", "RequestBody")
    ContentBlob = apps.get_model("gateway", "ContentBlob")
    ContentNode = apps.get_model("gateway", "ContentNode")
    for pk in list(RequestBody.objects.values_list("pk", flat=True)):
        row = RequestBody.objects.get(pk=pk)
        recipe = {"headers": row.headers, "received": None, "sent": None}
        row.recipe = compressed(compact(recipe))
        for part in ("received", "sent"):
            old = getattr(row, f"old_{part}")
            if not old:
                continue
            text = zlib.decompress(old)
            blob, node = sha256(text).digest(), sha256(bytes(32) + text).digest()
            used = int(row.log.started_at.timestamp()) // 3600
            ContentBlob.objects.get_or_create(digest=blob, defaults={"data": compressed(text), "used": used})
            ContentNode.objects.get_or_create(digest=node, defaults={"blob": blob, "used": used})
            # the latest row that needs a piece decides when it may go
            ContentBlob.objects.filter(digest=blob, used__lt=used).update(used=used)
            ContentNode.objects.filter(digest=node, used__lt=used).update(used=used)
            setattr(row, f"{part}_head", node)
        for part in ("answered", "returned"):
            old = getattr(row, part)
            if old:
                setattr(row, part, compressed(zlib.decompress(old)))
        row.save()


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


class Migration(migrations.Migration):

    dependencies = [("gateway", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="ContentBlob",
            fields=[
                ("digest", models.BinaryField(max_length=32, primary_key=True, serialize=False)),
                ("data", models.BinaryField()),
                ("texts", models.BinaryField(null=True)),
                ("used", models.PositiveIntegerField(db_index=True)),
            ],
        ),
        migrations.CreateModel(
            name="ContentNode",
            fields=[
                ("digest", models.BinaryField(max_length=32, primary_key=True, serialize=False)),
                ("parent", models.BinaryField(max_length=32, null=True)),
                ("blob", models.BinaryField(max_length=32)),
                ("used", models.PositiveIntegerField(db_index=True)),
            ],
        ),
        migrations.RenameField("requestbody", "received", "old_received"),
        migrations.RenameField("requestbody", "sent", "old_sent"),
        migrations.AddField("requestbody", "recipe", models.BinaryField(default=b""), preserve_default=False),
        *(
            migrations.AddField(
                "requestbody", f"{part}_{end}", models.BinaryField(blank=True, max_length=32, null=True)
            )
            for part in ("received", "sent")
            for end in ("base", "head")
        ),
        migrations.RunPython(convert, migrations.RunPython.noop),
        migrations.RemoveField("requestbody", "old_received"),
        migrations.RemoveField("requestbody", "old_sent"),
        migrations.RemoveField("requestbody", "headers"),
    ]
