"""The parts of conversations, each stored once: blobs, and the nodes that chain them.

Rows of RequestBody name the ends of chains; gateway/history/content/bodies.py writes and reads them.
"""

from __future__ import annotations

from django.db import models


class ContentBlob(models.Model):
    """One piece: a message, a system block, a tool list as compact JSON, or a whole body as it came.

    `digest` is the SHA-256 of the plain bytes, `data` the bytes zstd-compressed, `used` the hour
    (since 1970) when a stored exchange last needed it, an hour early at most (history/content/sweep.py).
    With `texts`, the digests of other blobs one after the other, the long texts of the piece are
    those blobs: a tool's result stands in the client's message and in ours (history/content/long_texts.py).
    `marked` is the hour when a sweep last found a row that needs it.
    """

    digest = models.BinaryField(primary_key=True, max_length=32)
    data = models.BinaryField()
    texts = models.BinaryField(null=True)
    used = models.PositiveIntegerField(db_index=True)
    # without a check, which the database would hold against every row when the column is added
    marked = models.IntegerField(null=True)

    class Meta:
        # no page shows these records, so there are no permissions for them
        default_permissions = ()

    def __str__(self) -> str:
        return bytes(self.digest).hex()


class ContentNode(models.Model):
    """One place in a conversation: the piece `blob`, after everything up to `parent`.

    `digest` is the SHA-256 of the parent's digest (32 zero bytes without one) and the piece's plain
    bytes, so it stands for the whole conversation up to here. No foreign keys: the digests are the
    proof, and a constraint would be checked with every turn.
    """

    digest = models.BinaryField(primary_key=True, max_length=32)
    parent = models.BinaryField(max_length=32, null=True)
    blob = models.BinaryField(max_length=32)
    used = models.PositiveIntegerField(db_index=True)
    marked = models.IntegerField(null=True)

    class Meta:
        # no page shows these records, so there are no permissions for them
        default_permissions = ()

    def __str__(self) -> str:
        return bytes(self.digest).hex()
