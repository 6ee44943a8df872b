"""Who may come in: a turn in this process, and what the limits of the key leave.

An exchange comes in before its provider is asked and goes out when it has ended; what it
really used is settled then (`endings.py`).
"""

from __future__ import annotations

from typing import Final

from gateway.conversion.context import AnswerContext
from gateway.limits.meters import Need
from gateway.relay.exchange import Exchange
from gateway.relay.gateway import Gateway

# Output that is put aside for a request before its length is known, in tokens.
EXPECTED_OUTPUT: Final = 1000


async def admitted(exchange: Exchange, gateway: Gateway, context: AnswerContext) -> None:
    """Charge the limits of the exchange's key with what it is expected to use, once.

    Raises TooManyRequests or NotAllowed (specification 7.2).
    """
    key = exchange.arrival.key
    if key is None or key.limits is None or exchange.admission is not None:
        return
    output = min(context.max_tokens, EXPECTED_OUTPUT)
    usage = {"input_tokens": context.estimated_input_tokens, "output_tokens": output}
    need = Need(usage["input_tokens"], output, 0, exchange.cost_of(usage, gateway))
    exchange.admission = await gateway.limiter.admit(key, exchange.request_id, exchange.asked_model, need)


def left(exchange: Exchange, gateway: Gateway) -> None:
    """The exchange has ended: settle what it used; never raises."""
    admission = exchange.admission
    if admission is None:
        return
    usage = exchange.usage
    exchange.admission = None
    gateway.limiter.settle(
        admission,
        Need(
            (usage.get("input_tokens") or 0) + (usage.get("cache_creation_input_tokens") or 0),
            usage.get("output_tokens") or 0,
            usage.get("cache_read_input_tokens") or 0,
            exchange.cost_of(usage, gateway) if usage else 0,
        ),
    )
