"""What a request may bring, judged by its head: nobody without a key fills memory with a body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.api.refusals import checked_key
from gateway.app.runtime import runtime
from gateway.conf import gateway_conf
from gateway.upstream.telemetry_collector import LARGEST
from gateway.values import frozen

# bytes of a body that nobody reads
UNREAD: Final = 1024 * 1024
# the forms of a client that signs in, which shows no key
FORMS: Final = b"/oauth/"
LARGEST_FORM: Final = 16 * 1024
# what clients export, which is there for who signs in
TELEMETRY: Final = frozenset({b"/v1/metrics", b"/v1/logs", b"/v1/traces"})


@frozen
class Allowance:
    """`most`: bytes of body that may come. `kept`: somebody reads them. `known`: the client showed a key,
    or needs none."""

    most: int
    kept: bool
    known: bool = False


def allowance(
    method: bytes, path: bytes, headers: Mapping[str, str], address: str, http_version: str = "1.1"
) -> Allowance:
    """What a request with this head may bring; `path` as it was sent, `address` the client's.

    Raises AuthenticationFailed for a request that only somebody with a key may make; the key is noted.
    """
    most = gateway_conf().max_body_bytes
    exports = path in TELEMETRY and gateway_conf().sign_in
    if method == b"POST" and (exports or path.startswith(b"/v1/messages")):
        snapshot, most = runtime.snapshot, LARGEST if exports else most
        if snapshot is None:
            # nothing is loaded yet: the view looks at the key
            return Allowance(most, kept=True)
        checked_key(headers, address, path.decode("latin-1"), snapshot, http_version)
        return Allowance(most, kept=True, known=True)
    if path.startswith(FORMS):
        return Allowance(LARGEST_FORM, kept=gateway_conf().sign_in)
    if path.startswith(b"/admin"):
        return Allowance(most, kept=True)
    return Allowance(most if path.startswith(b"/v1/") else UNREAD, kept=False)
