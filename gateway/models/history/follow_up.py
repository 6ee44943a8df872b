"""What is derived later from finished exchanges: the queue, the totals of sessions, and the search index."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class FollowUp(models.Model):
    """An exchange that has ended and that history/record/follow_up.py has not processed yet."""

    request_id = models.CharField(max_length=64, primary_key=True)

    class Meta:
        # no page shows these records, so there are no permissions for them
        default_permissions = ()

    def __str__(self) -> str:
        return self.request_id


class SessionTotal(models.Model):
    """The numbers of one session of a client, over its messages; unknown tokens count as 0.

    A client chooses its session id, so a session is an id and its holder: `user:7`, the owner of the
    requests; when nobody owned them `key:3`, the first of its key's lineage; "" when they came without a key.
    Worked out anew from the session's rows whenever one of them ends, so it is never counted twice.
    `agents`: how many subagents took part; `busy_ms`: the sum of the durations; `upstream_models`:
    the one with most requests first; `context_tokens`: the largest prompt of the main agent.
    """

    session_id = models.CharField(max_length=128)
    holder = models.CharField(max_length=32, blank=True, default="", db_default="")
    client_key_id = models.BigIntegerField(null=True, blank=True)
    key_name = models.CharField(max_length=100, blank=True, default="")
    client = models.CharField(max_length=200, blank=True, default="")
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    requests = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    retries = models.PositiveIntegerField(default=0)
    agents = models.PositiveIntegerField(default=0)
    input_tokens = models.PositiveBigIntegerField(default=0)
    output_tokens = models.PositiveBigIntegerField(default=0)
    cache_read_tokens = models.PositiveBigIntegerField(default=0)
    cache_write_tokens = models.PositiveBigIntegerField(default=0)
    # US dollars of the requests that have a price; null when none has
    cost = models.DecimalField(max_digits=20, decimal_places=10, null=True, blank=True)
    tool_count = models.PositiveIntegerField(default=0)
    busy_ms = models.PositiveBigIntegerField(default=0)
    upstream_models = models.JSONField(default=list, db_default=[])
    context_tokens = models.PositiveBigIntegerField(default=0, db_default=0)

    class Meta:
        ordering = ["-last_at", "session_id"]
        indexes = [
            models.Index(fields=["-last_at"], name="session_last"),
            models.Index(fields=["client_key_id", "-last_at"], name="session_key_last"),
            models.Index(fields=["holder", "-last_at"], name="session_holder_last"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["session_id", "holder"], name="session_of_holder"),
        ]
        verbose_name = _("session")
        verbose_name_plural = _("sessions")

    def __str__(self) -> str:
        return self.session_id


class SearchText(models.Model):
    """A text that can be found: a message in its place in a conversation, or an answer.

    `digest`: that of the ContentNode, or one made of the request id for an answer.
    `request_id`: the first request that had it. The words themselves stand in the
    table gateway_searchwords under the same id; on SQLite they are kept here too,
    zstd-compressed, because its index can only forget what it is told again.
    """

    digest = models.BinaryField(max_length=32, unique=True)
    request_id = models.CharField(max_length=64, db_index=True)
    words = models.BinaryField(null=True, blank=True)

    class Meta:
        # no page shows these records, so there are no permissions for them
        default_permissions = ()

    def __str__(self) -> str:
        return self.request_id
