"""What the numbers read of an exchange and of its tries."""

from __future__ import annotations

from typing import Protocol


class AttemptMetrics(Protocol):
    """What is counted for one try at a provider."""

    @property
    def provider(self) -> str: ...

    @property
    def state(self) -> str: ...

    @property
    def error_type(self) -> str: ...

    @property
    def next_step(self) -> str: ...


class ExchangeMetrics(Protocol):
    """What is counted for an exchange; times in milliseconds, None where there was none."""

    @property
    def endpoint(self) -> str: ...

    @property
    def state(self) -> str: ...

    @property
    def provider(self) -> str: ...

    @property
    def status(self) -> int | None: ...

    @property
    def first_byte_ms(self) -> int | None: ...

    @property
    def duration_ms(self) -> int | None: ...

    @property
    def input_tokens(self) -> int | None: ...

    @property
    def output_tokens(self) -> int | None: ...

    @property
    def cache_read_tokens(self) -> int | None: ...

    @property
    def cache_write_tokens(self) -> int | None: ...

    @property
    def error_type(self) -> str: ...

    @property
    def asked_model(self) -> str: ...

    @property
    def upstream_model(self) -> str: ...

    @property
    def tries(self) -> tuple[AttemptMetrics, ...]: ...
