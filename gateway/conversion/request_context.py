"""What the modules of one request's conversion share: the profile, notes for the ledger, cache markers."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.conversion.cache_control import CacheMarkers
from gateway.conversion.ledger import Code, Ledger
from gateway.conversion.profile import Profile
from gateway.conversion.provider_state import Opener
from gateway.values import frozen


class Notes:
    """Ledger entries of a request; equal ones about messages are joined.

    A history repeats the same loss in every turn, and is sent again with every request; so one entry names
    the first place and the number.
    """

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[tuple[Code, str, str], tuple[str, int]] = {}

    def add(self, code: Code, path: str, note: str) -> None:
        key = (code, note, "" if path.startswith("messages.") else path)
        first, count = self._counts.get(key, (path, 0))
        self._counts[key] = (first, count + 1)

    def __bool__(self) -> bool:
        return bool(self._counts)

    def join(self, more: Notes) -> None:
        """Add the notes of a later part of the request; `more` stays as it is."""
        for key, (path, times) in more._counts.items():
            first, count = self._counts.get(key, (path, 0))
            self._counts[key] = (first, count + times)

    def write(self, ledger: Ledger) -> None:
        """Move everything into the ledger."""
        for (code, note, _), (path, count) in self._counts.items():
            ledger.add(code, path, f"{note} ({count} times)" if count > 1 else note)
        self._counts.clear()


@frozen
class RequestContext:
    """`model` is the asked model, for messages to the client; `opaque` reads what came back in signatures."""

    profile: Profile
    model: str
    notes: Notes
    markers: CacheMarkers
    opaque: Opener

    def apart(self) -> RequestContext:
        """The same for a part of the request that is converted alone."""
        markers = CacheMarkers(self.profile.cache_control, self.profile.cache_lifetime)
        return RequestContext(self.profile, self.model, Notes(), markers, self.opaque)

    def stranger(self, payload: Mapping[str, object]) -> str:
        """Who made a payload that came back, if not the provider and model asked now; else "".

        What one model wants to see again, another one refuses, even at the same provider.
        """
        if payload.get("p") != self.profile.provider:
            return "another provider"
        upstream_model = self.profile.upstream_model or self.model
        return "" if payload.get("m") == upstream_model else "another model"
