"""A made-up history of any size for trying out and measuring the admin: plausible and repeatable."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Max, Min

from gateway.conversion.ledger import LedgerRow
from gateway.history.outcome import AttemptFacts, CapturedBodies, ExchangeOutcome
from gateway.history.record import rows
from gateway.history.totals import hourly
from gateway.history.totals import sessions as session_totals
from gateway.history.totals.contributions import Tallies
from gateway.models import Attempt, ClientKey, CountedName, RequestLog, SessionTotal
from gateway.wire import jsontext

PREFIX: Final = "req_seed"
BATCH: Final = 5000
KEYS: Final = 20
# asked model, provider, upstream model, US dollars for a million tokens in and out (None: unpriced), share
_ROUTES: Final = (
    ("claude-sonnet-4-6", "openai", "gpt-4o", (2.5, 10.0), 40),
    ("claude-haiku-4-5", "openai", "gpt-4o-mini", (0.15, 0.6), 25),
    ("claude-opus-4-6", "azure", "o4-deployment", (1.1, 4.4), 15),
    ("claude-sonnet-4-6[1m]", "gemini", "gemini-2.5-pro", (1.25, 10.0), 10),
    ("qwen3-coder", "llama", "qwen3-coder-30b", None, 8),
    ("gpt-4o-mini", "openai", "gpt-4o-mini", (0.15, 0.6), 2),
)
_ENDS: Final = (
    # state, status, error type, share
    ("ok", 200, "", 930),
    ("error", 429, "rate_limit_error", 18),
    ("error", 529, "overloaded_error", 10),
    ("error", 400, "invalid_request_error", 9),
    ("error", 504, "api_error", 5),
    ("cancelled", 200, "", 22),
    ("broken", 200, "api_error", 4),
    ("interrupted", None, "", 2),
)
# shares of requests that only count tokens, and that repeat an earlier one
_COUNTED: Final = 0.03
_REPLAYS: Final = 0.0005
_TOOLS: Final = ("Bash", "Read", "Edit", "Grep", "Glob", "Write", "WebFetch", "Task")
_LEDGER: Final = (
    ("dropped", "top_k"),
    ("clamped", "max_tokens"),
    ("renamed", "tools[3].name"),
    ("moved", "system"),
)
_CLIENTS: Final = (
    "claude-cli/2.1.197 (external, cli)",
    "claude-cli/2.1.180 (external, cli)",
    "anthropic-python/2.4.0",
)


# a moment of the same minute, as the database stores it
_ANOTHER_SECOND: Final = {
    "sqlite": "substr(started_at, 1, 17) || printf('%09.6f', abs(random() % 59999999) / 1000000.0)",
    "postgresql": "date_trunc('minute', started_at) + random() * interval '59 seconds'",
}
# more rows than this are copies of so many, made by the database
MADE_UP: Final = 20_000
# of a request id, behind PREFIX and the seed: the digits that say which copy it is
_COPY: Final = 4


@dataclass
class Seeding:
    """Writes at least `rows` exchanges of the last `days` before `until`, oldest first.

    Of many, up to MADE_UP are made up, and copied until there are enough: each copy has sessions of its own,
    the numbers of its original, and another second of the same minute.
    """

    rows: int
    days: int
    until: datetime
    seed: int = 1
    keys: list[ClientKey] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)  # noqa: S311
        # of its own, so that what was made up before stays what it was
        self._fact_dice = random.Random(f"facts {self.seed}")  # noqa: S311
        self.copies = max(1, self.rows // MADE_UP)
        self.rows = -(-self.rows // self.copies)
        self._costs: dict[str, Decimal | None] = {}

    def run(self) -> Iterator[int]:
        """Write the rows; yields their number after each batch."""
        self.keys = [self._key(number) for number in range(KEYS)]
        CountedName.objects.bulk_create(
            [
                CountedName(name=name, since=0)
                for name in sorted({route[0] for route in _ROUTES} | {route[2] for route in _ROUTES})
            ],
            ignore_conflicts=True,
        )
        outcomes, written = self._outcomes(), 0
        while batch := list(islice(outcomes, BATCH)):
            self._write(batch)
            written += len(batch)
            yield written
        bounds = {
            table: (table.objects.aggregate(pk=Min("pk"))["pk"], table.objects.aggregate(pk=Max("pk"))["pk"])
            for table in (RequestLog, Attempt)
        }
        for copy in range(1, self.copies):
            self._copy(copy, bounds)
            yield (copy + 1) * self.rows
        self._sessions()

    def _copy(self, copy: int, bounds: Mapping[Any, tuple[int | None, int | None]]) -> None:
        """Copy all rows that were made up, and their attempts; they are counted already.

        `bounds`: the least and largest primary key of a table before the first copy.
        """
        number = f"{copy:0{_COPY}d}"
        start = f"{PREFIX}{self.seed:02x}"
        begin, behind = len(start), len(start) + _COPY + 1
        # the second part of the id says which copy a session belongs to
        group = len(self._session_id(0).split("-")[0]) + 1
        name = f"substr(request_id, 1, {begin}) || '{number}' || substr(request_id, {behind})"
        changed = {
            "request_id": name,
            "session_id": f"substr(session_id, 1, {group}) || '{number}' || substr(session_id, {group + 5})",
            "upstream_request_id": f"upstream_request_id || '-{copy}'",
            "started_at": _ANOTHER_SECOND[connection.vendor],
        }
        for table, ours in ((RequestLog, changed), (Attempt, {"request_id": name})):
            columns = [str(field.column) for field in table._meta.concrete_fields if not field.primary_key]
            values = ", ".join(ours.get(column, f'"{column}"') for column in columns)
            names = ", ".join(f'"{column}"' for column in columns)
            first, last = bounds[table]
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(
                    f'INSERT INTO "{table._meta.db_table}" ({names}) SELECT {values} '  # noqa: S608 (our columns)
                    f'FROM "{table._meta.db_table}" '
                    "WHERE id BETWEEN %s AND %s AND request_id LIKE %s ORDER BY id",
                    [first, last, f"{start}{'0' * _COPY}%"],
                )

    def _key(self, number: int) -> ClientKey:
        found: ClientKey | None = ClientKey.objects.filter(name=f"seed {number:02d}").first()
        return found or ClientKey.issue(f"seed {number:02d}", owner=f"team {number % 4}")[0]

    def _write(self, batch: list[ExchangeOutcome]) -> None:
        tallies = Tallies()
        made: list[dict[str, Any]] = []
        tries: list[dict[str, Any]] = []
        for outcome in batch:
            folder = f"/home/dev{outcome.client_key_id}/work/{outcome.session_id[-1]}"
            row = rows.log_row(outcome, self._costs.pop(outcome.request_id), folder=folder)
            tallies.add(hourly.counted(row), self.copies)
            made.append(row)
            tries += [rows.ATTEMPT.stored(one, log_id=outcome.request_id) for one in outcome.tries]
        with transaction.atomic():
            rows.LOG.statement.many(rows.LOG.values(made))
            rows.ATTEMPT.statement.many(rows.ATTEMPT.values(tries))
            hourly.add(tallies)

    def _sessions(self) -> None:
        known = set(SessionTotal.objects.values_list("session_id", flat=True).distinct())
        made = (
            self._session_id(name, copy)
            for copy in range(self.copies)
            for name in range(self._number_of_sessions)
        )
        for session_id in made:
            if session_id not in known:
                with transaction.atomic():
                    session_totals.work_out(session_id)

    @property
    def _number_of_sessions(self) -> int:
        return max(1, self.rows // 500)

    def _session_id(self, number: int, copy: int = 0) -> str:
        return f"5eed{self.seed:04x}-{copy:04d}-4000-8000-{number:012x}"

    def _request_id(self, number: int) -> str:
        return f"{PREFIX}{self.seed:02x}{number:014d}"

    def _outcomes(self) -> Iterator[ExchangeOutcome]:
        dice, span = self._dice, self.days * 86_400
        step = span / self.rows
        sessions = self._number_of_sessions
        for number in range(self.rows):
            at = self.until - timedelta(seconds=span - (number + dice.random()) * step)
            # a session lasts a while and several run at once
            session = min(sessions - 1, int((number / self.rows) * sessions + dice.random() * 3))
            yield self._outcome(number, at, session)

    def _outcome(self, number: int, at: datetime, session: int) -> ExchangeOutcome:
        dice = self._dice
        asked, provider, upstream, price, _ = dice.choices(_ROUTES, [route[-1] for route in _ROUTES])[0]
        state: Any
        state, status, error_type, _ = dice.choices(_ENDS, [end[-1] for end in _ENDS])[0]
        key = self.keys[session % KEYS]
        answered = state in ("ok", "broken", "cancelled")
        first_byte = int(dice.lognormvariate(6.6, 0.7)) if answered else None
        duration = (first_byte or 80) + int(dice.lognormvariate(8.0, 1.0))
        tokens: dict[str, Any] = {
            "input_tokens": int(dice.lognormvariate(7.5, 1.2)),
            "output_tokens": int(dice.lognormvariate(5.5, 1.1)),
            "cache_read_tokens": int(dice.lognormvariate(10.0, 0.8)) if dice.random() < 0.8 else 0,
            "cache_write_tokens": int(dice.lognormvariate(7.0, 1.0)) if dice.random() < 0.5 else 0,
        }
        retried = dice.random() < 0.03
        tools = dice.sample(_TOOLS, dice.randint(1, 3)) if state == "ok" and dice.random() < 0.55 else []
        agent = f"agent-{dice.randint(1, 3)}" if dice.random() < 0.15 else ""
        request_id = self._request_id(number)
        ledger: list[LedgerRow] = [
            {"code": code, "path": path, "note": "made up"}
            for code, path in (dice.sample(_LEDGER, dice.randint(1, 2)) if dice.random() < 0.1 else ())
        ]
        repeated = number and dice.random() < _REPLAYS
        outcome = ExchangeOutcome(
            request_id=request_id,
            started_at=at,
            endpoint="replay" if repeated else "messages",
            replay_of=self._request_id(dice.randrange(number)) if repeated else "",
            state=state,
            client_key_id=key.pk,
            key_name=key.name,
            session_id=self._session_id(session),
            agent_id=agent,
            client=dice.choice(_CLIENTS),
            client_address="10.0.0.7",
            asked_model=asked,
            provider=provider,
            upstream_model=upstream,
            mapping="*",
            streamed=dice.random() < 0.95,
            status=status,
            error_type=error_type,
            error_message="The provider said no." if error_type else "",
            stop_reason=("tool_use" if tools else _stop(dice)) if state == "ok" else "",
            first_byte_ms=first_byte,
            duration_ms=duration,
            attempts=2 if retried else 1,
            ledger=ledger,
            tools_called=tools,
            tools_failed=tools[:1] if tools and dice.random() < 0.05 else [],
            has_images=dice.random() < 0.02,
            upstream_request_id=f"chatcmpl-{number:x}",
            estimated_input_tokens=sum(tokens.values()) - tokens["output_tokens"],
            facts=self._facts(),
            tries=_tries(at, provider, upstream, first_byte) if retried else (),
            **(tokens if answered else {}),
        )
        if dice.random() < _COUNTED:
            outcome, tokens = _count(outcome, int(dice.lognormvariate(1.5, 0.8))), {}
        self._costs[request_id] = _cost(tokens if answered else {}, price)
        return outcome

    def _facts(self) -> dict[str, Any]:
        """What a request asks for, as routing.facts.as_json has it."""
        dice = self._fact_dice
        rare = {"pdfs": 0.003, "web_search": 0.01, "structured_output": 0.02}
        facts: dict[str, Any] = {name: True for name, share in rare.items() if dice.random() < share}
        if dice.random() < 0.7:
            facts |= {"thinking": True, "effort": dice.choices(("low", "medium", "high"), (10, 60, 30))[0]}
        if dice.random() < 0.9:
            facts["tools"] = dice.randint(1, 40)
        return facts | {"max_tokens": dice.choice((4096, 32_000, 64_000))}


def _count(outcome: ExchangeOutcome, duration: int) -> ExchangeOutcome:
    """The same request for its number of tokens only, which the gateway answers by itself."""
    return replace(
        outcome, endpoint="count_tokens", state="ok", status=200, error_type="", error_message="",
        replay_of="", stop_reason="", tools_called=[], tools_failed=[], tries=(), attempts=0, streamed=False,
        first_byte_ms=None, duration_ms=duration, output_tokens=None, cache_read_tokens=None,
        cache_write_tokens=None, upstream_request_id="",
    )  # fmt: skip


def _stop(dice: random.Random) -> str:
    return dice.choices(("end_turn", "max_tokens", "refusal"), (97, 2, 1))[0]


def _cost(tokens: dict[str, int], price: tuple[float, float] | None) -> Decimal | None:
    if not tokens:
        return Decimal(0)
    if price is None:
        return None
    read = tokens["input_tokens"] + tokens["cache_write_tokens"] + tokens["cache_read_tokens"] / 10
    return Decimal(round(read * price[0] * 10_000 + tokens["output_tokens"] * price[1] * 10_000)) / 10**10


def _tries(at: datetime, provider: str, upstream: str, first_byte: int | None) -> tuple[AttemptFacts, ...]:
    failed: dict[str, Any] = {
        "state": "error",
        "status": 529,
        "error_type": "overloaded_error",
        "next_step": "again",
    }
    return (
        AttemptFacts(1, at, provider, upstream, duration_ms=90, pause_ms=500, **failed),
        AttemptFacts(
            2, at + timedelta(seconds=0.6), provider, upstream, first_byte_ms=first_byte, next_step="answered"
        ),
    )


def conversation(number: int, turns: int, seed: int) -> CapturedBodies:
    """The texts of one request of a made-up session; `number` counts its turns."""
    dice = random.Random(f"{seed}-{number}")  # noqa: S311
    messages: list[dict[str, Any]] = []
    for turn in range(turns):
        messages.append({"role": "user", "content": _sentence(dice, turn)})
        messages.append(
            {"role": "assistant", "content": [{"type": "text", "text": _sentence(dice, turn + 1)}]}
        )
    messages.append({"role": "user", "content": _sentence(dice, turns)})
    answer = _sentence(dice, turns + 7)
    request = {"model": "claude-sonnet-4-6", "max_tokens": 4096, "messages": messages}
    chat = {"model": "gpt-4o", "messages": messages}
    returned = {
        "id": f"msg_{seed}{number}", "type": "message", "role": "assistant", "model": "claude-sonnet-4-6",
        "content": [{"type": "text", "text": answer}], "stop_reason": "end_turn", "stop_sequence": None,
        "usage": {"input_tokens": 100, "output_tokens": 20},
    }  # fmt: skip
    answered = {
        "id": f"chatcmpl-{number}", "object": "chat.completion", "model": "gpt-4o",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20},
    }  # fmt: skip
    return CapturedBodies(
        {"user-agent": _CLIENTS[0]},
        jsontext.dumps(request),
        jsontext.dumps(chat),
        jsontext.dumps(answered),
        jsontext.dumps(returned),
    )


_WORDS: Final = (
    "function", "returns", "parser", "error", "socket", "retry", "token", "stream", "migration", "index",
    "query", "template", "cache", "budget", "provider", "gateway", "module", "test", "fixture", "branch",
    "commit", "review", "table", "column", "schema", "button", "page", "layout",
)  # fmt: skip


def _sentence(dice: random.Random, salt: int) -> str:
    words = dice.choices(_WORDS, k=dice.randint(8, 40))
    return " ".join([*words, f"case{salt}x{dice.randint(0, 99_999)}"]).capitalize() + "."
