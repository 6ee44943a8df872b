"""RequestLog: the stored outcome of one exchange. RequestBody: its large texts, in a table of their own."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar, Final

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop, pgettext_lazy

from gateway.client_protocol.purpose import RequestClass, Task

USUAL_STOPS: Final = ("", "end_turn", "tool_use")
# one condition after the other, because SQLite compares them one by one
UNUSUAL_STOP: Final = ~Q(stop_reason="") & ~Q(stop_reason="end_turn") & ~Q(stop_reason="tool_use")
RARE_CLASS: Final = ~Q(request_class="unknown") & ~Q(request_class="main")
# What few requests are or have, each with an index of its own; a filter says the same condition.
RARE: Final[dict[str, Q]] = {
    "refused": Q(status__gte=400, status__lt=500),
    "failed": Q(status__gte=500),
    "slow": Q(duration_ms__gte=10_000),
    "minute": Q(duration_ms__gte=60_000),
    "tools": Q(tool_count__gt=0),
    "images": Q(has_images=True),
    "ledger": Q(ledger_count__gt=0),
    "retried": Q(attempts__gt=1),
    "replay": ~Q(replay_of=""),
    "masked": Q(masked_count__gt=0),
    "dear": Q(cost__gte=Decimal("0.1")),
    "counting": Q(endpoint="count_tokens"),
    "safety": Q(task="classifier"),
    "thinking": Q(thinking=True),
    "pdfs": Q(pdfs=True),
    "web_search": Q(web_search=True),
    "structured": Q(structured_output=True),
    "toolless": Q(tools_offered=0),
    "whole": Q(streamed=False),
    "large": Q(estimated_input_tokens__gte=100_000),
    "small": Q(estimated_input_tokens__lte=1_000),
    "shadows": Q(endpoint="shadow"),
}


# failures that no problem counts yet; few, and none for long
UNCOUNTED: Final = Q(problem_id=None) & ~Q(state="ok") & ~Q(state="open") & ~Q(state="cancelled")


class State(models.TextChoices):
    """How an exchange stands. Everything but `open` is an end."""

    OPEN = "open", _("open")
    OK = "ok", _("ok")
    ERROR = "error", _("error")
    CANCELLED = "cancelled", _("cancelled by client")
    BROKEN = "broken", _("broken by the provider")
    INTERRUPTED = "interrupted", _("interrupted by a restart")


# words for the closed list of client_protocol.purpose
CLASSES: Final = {
    RequestClass.MAIN.value: _("main agent"),
    RequestClass.SUBAGENT.value: _("subagent"),
    RequestClass.COMPACTION.value: _("compaction"),
    RequestClass.AUXILIARY.value: _("auxiliary"),
    RequestClass.SIDE_REPLY.value: _("side reply"),
    RequestClass.WORKFLOW.value: _("workflow"),
    RequestClass.UNKNOWN.value: _("unknown"),
}
TASKS: Final = {
    Task.NONE.value: "",
    Task.CLASSIFIER.value: _("safety check by the client"),
    Task.SAFEGUARDS.value: _("safety check by the gateway"),
    Task.TITLE.value: _("title of a session"),
    Task.PROBE.value: _("probe at the start"),
    Task.COUNT.value: _("counting tokens"),
}


def class_words(counted: str) -> str:
    """The words for what totals count a request under (client_protocol.purpose.counted_as)."""
    return str(CLASSES.get(counted) or TASKS.get(counted) or CLASSES[RequestClass.UNKNOWN.value])


class Endpoint(models.TextChoices):
    MESSAGES = "messages", _("messages")
    COUNT_TOKENS = "count_tokens", _("count tokens")
    REPLAY = "replay", _("replay")
    SHADOW = "shadow", pgettext_lazy("endpoint", "shadow")


class RequestLog(models.Model):
    """One row per exchange, however it ends. Null numbers are unknown, not zero.

    Names of key, provider and mapping are copies: the row stays true when those
    records change or go. The key's constraint is Django's alone, so a key that is
    deleted while its request runs cannot lose the row.

    `owner_id`: the user who owned the key then, and whose contents these are, whoever owns it now.
    `arm`: the target that the session was given where the mapping divides its sessions
    (routing/shares.py), whoever answered in the end; `arm_share`: its share then, 0 to 1.
    `tools_called`: what the answer calls; `tools_failed`: tools whose results came in with
    this request and were errors; `has_images`: some message of the request has one.
    `request_class` and what follows it say what the request was for (client_protocol/purpose.py);
    `class_inferred`: the client did not say. `caller_request_id`: what the caller, or a proxy in front
    of us, calls the request.
    `timeline`: what happened between the client and us beside the events, as
    `[what, ms since arrival, ms it took]` (relay/exchange/timeline.py). `replay_of`: the request id
    of the request that this one repeats.
    """

    request_id = models.CharField(max_length=64, unique=True)
    started_at = models.DateTimeField(db_index=True, default=timezone.now)
    client_key = models.ForeignKey(
        "gateway.ClientKey",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="requests",
        db_constraint=False,
        db_index=False,
    )
    key_name = models.CharField(max_length=100, blank=True, default="")
    owner_id = models.BigIntegerField(null=True, blank=True, editable=False)
    session_id = models.CharField(max_length=128, blank=True, default="")
    agent_id = models.CharField(max_length=128, blank=True, default="")
    parent_agent_id = models.CharField(max_length=128, blank=True, default="")
    client = models.CharField(max_length=200, blank=True, default="")
    client_address = models.CharField(max_length=64, blank=True, default="")
    endpoint = models.CharField(max_length=20, choices=Endpoint.choices, default=Endpoint.MESSAGES)
    asked_model = models.CharField(max_length=200, blank=True, default="")
    provider = models.CharField(max_length=50, blank=True, default="")
    upstream_model = models.CharField(max_length=200, blank=True, default="")
    mapping = models.CharField(max_length=200, blank=True, default="")
    mapping_pk = models.BigIntegerField(null=True, blank=True)
    arm = models.CharField(max_length=255, blank=True, default="", db_default="")
    arm_share = models.FloatField(null=True, blank=True)
    streamed = models.BooleanField(default=False)
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    state = models.CharField(max_length=12, choices=State.choices, default=State.OPEN)
    error_type = models.CharField(max_length=60, blank=True, default="")
    error_message = models.CharField(max_length=1000, blank=True, default="")
    stop_reason = models.CharField(max_length=40, blank=True, default="")
    input_tokens = models.PositiveIntegerField(null=True, blank=True)
    output_tokens = models.PositiveIntegerField(null=True, blank=True)
    cache_read_tokens = models.PositiveIntegerField(null=True, blank=True)
    cache_write_tokens = models.PositiveIntegerField(null=True, blank=True)
    # the part of cache_write_tokens that is kept for an hour
    cache_write_1h_tokens = models.PositiveIntegerField(null=True, blank=True)
    thinking_tokens = models.PositiveIntegerField(null=True, blank=True)
    usage_estimated = models.BooleanField(default=False)
    # the provider's word for the tier that answered; "": the standard one
    service_tier = models.CharField(max_length=16, blank=True, default="", db_default="")
    # what the gateway thought before it asked (manage.py tokenerror compares), and the part of it that
    # its vocabulary counted, without what was learnt of the model
    estimated_input_tokens = models.PositiveIntegerField(null=True, blank=True)
    vocabulary_tokens = models.PositiveIntegerField(null=True, blank=True)
    # of these, in letters of other alphabets, and Chinese, Japanese and Korean (conversion/token_counts.py)
    letter_tokens = models.PositiveIntegerField(null=True, blank=True)
    cjk_tokens = models.PositiveIntegerField(null=True, blank=True)
    # US dollars; null: unpriced. history/totals/costs.py says what 0 means
    cost = models.DecimalField(max_digits=20, decimal_places=10, null=True, blank=True)
    price_source = models.CharField(max_length=200, blank=True, default="")
    first_byte_ms = models.PositiveIntegerField(null=True, blank=True)
    duration_ms = models.PositiveIntegerField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    ledger = models.JSONField(default=list, blank=True)
    ledger_count = models.PositiveIntegerField(default=0)
    tools_called = models.JSONField(default=list, blank=True)
    tool_count = models.PositiveIntegerField(default=0)
    tools_failed = models.JSONField(default=list, blank=True)
    has_images = models.BooleanField(default=False)
    timeline = models.JSONField(default=list, blank=True)
    # models.ServingProcess.name of whoever opened it
    served_by = models.CharField(max_length=80, blank=True, default="", editable=False)
    replay_of = models.CharField(max_length=64, blank=True, default="")
    upstream_request_id = models.CharField(max_length=200, blank=True, default="")
    # a process of an older version, which may still write, knows nothing of these
    request_class = models.CharField(
        max_length=12, choices=list(CLASSES.items()), default="unknown", db_default="unknown", blank=True
    )
    class_inferred = models.BooleanField(default=False, db_default=False)
    task = models.CharField(max_length=12, choices=list(TASKS.items()), blank=True, default="", db_default="")
    agent_type = models.CharField(max_length=60, blank=True, default="", db_default="")
    prompt_id = models.CharField(max_length=60, blank=True, default="", db_default="")
    compaction = models.CharField(max_length=60, blank=True, default="", db_default="")
    tool_durations = models.JSONField(default=list, db_default=[], blank=True)
    finer_class = models.CharField(max_length=60, blank=True, default="", db_default="")
    # where the client ran, masked; known only where contents are kept, and kept as long as the row
    folder = models.CharField(max_length=200, blank=True, default="", db_default="")
    settings_checksum = models.CharField(max_length=80, blank=True, default="", db_default="")
    # facts that the list can be filtered by; copies of those in `facts`, so that there are indexes of them
    thinking = models.BooleanField(default=False, db_default=False)
    pdfs = models.BooleanField(default=False, db_default=False)
    web_search = models.BooleanField(default=False, db_default=False)
    structured_output = models.BooleanField(default=False, db_default=False)
    effort = models.CharField(max_length=20, blank=True, default="", db_default="")
    # null: unknown
    tools_offered = models.PositiveIntegerField(null=True, blank=True)
    # what rules can ask about and no other column has (routing/facts.py, as_json)
    facts = models.JSONField(default=dict, db_default={}, blank=True)
    caller_request_id = models.CharField(max_length=100, blank=True, default="", db_default="")
    masked_count = models.PositiveIntegerField(default=0)
    # models.Problem; null: no failure, or one that nobody counted yet (gateway/watch/problems.py)
    problem_id = models.BigIntegerField(null=True, blank=True, editable=False)
    # which model names the totals do not tell apart (history/totals/contributions.py)
    folded = models.PositiveSmallIntegerField(default=0, editable=False)

    class Meta:
        ordering = ["-started_at", "-pk"]
        verbose_name = _("request")
        verbose_name_plural = _("requests")
        permissions = [("replay_requestlog", gettext_noop("Can replay requests"))]
        indexes = [
            models.Index(fields=["client_key", "-started_at"], name="log_key_time"),
            models.Index(fields=["session_id", "-started_at"], name="log_session_time"),
            models.Index(
                fields=["owner_id", "-started_at"], name="log_owner_time", condition=~Q(owner_id=None)
            ),
            models.Index(fields=["state", "-started_at"], name="log_state_time"),
            models.Index(fields=["provider", "-started_at"], name="log_provider_time"),
            models.Index(fields=["asked_model", "-started_at"], name="log_model_time"),
            models.Index(fields=["upstream_model", "-started_at"], name="log_upstream_time"),
            models.Index(fields=["client", "-started_at"], name="log_client_time"),
            models.Index(
                fields=["request_class", "started_at"],
                name="log_class_time",
                condition=RARE_CLASS,
            ),
            models.Index(fields=["prompt_id"], name="log_prompt", condition=~Q(prompt_id="")),
            # for the filters of the history that few rows pass: small, and read backwards they are in the
            # order of the list
            *(
                models.Index(fields=["started_at"], name=f"log_{name}_time", condition=condition)
                for name, condition in RARE.items()
            ),
            models.Index(fields=["effort", "started_at"], name="log_effort_time", condition=~Q(effort="")),
            models.Index(
                fields=["error_type", "started_at"], name="log_error_time", condition=~Q(error_type="")
            ),
            models.Index(fields=["stop_reason", "started_at"], name="log_stop_time", condition=UNUSUAL_STOP),
            models.Index(
                fields=["upstream_request_id"], name="log_upstream_id", condition=~Q(upstream_request_id="")
            ),
            models.Index(
                fields=["problem_id", "-started_at"], name="log_problem_time", condition=~Q(problem_id=None)
            ),
            models.Index(fields=["started_at"], name="log_uncounted", condition=UNCOUNTED),
            models.Index(fields=["replay_of"], name="log_replay_of", condition=~Q(replay_of="")),
            models.Index(
                fields=["mapping_pk", "started_at"], name="log_shadow_time", condition=Q(endpoint="shadow")
            ),
            models.Index(
                fields=["mapping_pk", "arm", "-started_at"], name="log_arm_time", condition=~Q(arm="")
            ),
        ]

    def __str__(self) -> str:
        return self.request_id


class RequestBody(models.Model):
    """Where the texts of one exchange are; history/content/bodies.py writes and reads them.

    received = the client's request, sent = ours to the provider, answered = the
    provider's raw answer, returned = ours to the client. Sizes are bytes as they
    went over the wire; 0: not kept, or there was none.

    The two requests are ends of chains of ContentNode: `*_base` (system, tools) and
    `*_head` (messages). `recipe`, zstd-compressed JSON, holds what is in no chain,
    and the masked headers. The two answers stand here, zstd-compressed.
    """

    PARTS: ClassVar[tuple[str, ...]] = ("received", "sent", "answered", "returned")
    REQUESTS: ClassVar[tuple[str, ...]] = ("received", "sent")

    log = models.OneToOneField(
        RequestLog,
        to_field="request_id",
        db_column="request_id",
        primary_key=True,
        on_delete=models.CASCADE,
        related_name="body",
    )
    recipe = models.BinaryField()
    received_base = models.BinaryField(max_length=32, null=True, blank=True)
    received_head = models.BinaryField(max_length=32, null=True, blank=True)
    sent_base = models.BinaryField(max_length=32, null=True, blank=True)
    sent_head = models.BinaryField(max_length=32, null=True, blank=True)
    answered = models.BinaryField(null=True, blank=True)
    returned = models.BinaryField(null=True, blank=True)
    received_size = models.PositiveIntegerField(default=0)
    sent_size = models.PositiveIntegerField(default=0)
    answered_size = models.PositiveIntegerField(default=0)
    returned_size = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("content of a request")
        verbose_name_plural = _("contents of requests")
        permissions = [("read_content", gettext_noop("Can read the content of requests"))]

    def __str__(self) -> str:
        return self.log_id
