"""TLS sessions that are resumed: a new connection to a known host skips the exchange of certificates.

asyncio has no argument for a session, so the context makes TLS objects that look for one before their
handshake (`SSLContext.sslobject_class`).
"""

from __future__ import annotations

import ssl
from typing import Final

from gateway.cache import GenerationalCache

MOST_HOSTS: Final = 400

_Sessions = GenerationalCache[str, ssl.SSLSession]


class TLSSessions:
    """The last session with each host, of one context."""

    def __init__(self, context: ssl.SSLContext) -> None:
        sessions: _Sessions = GenerationalCache(MOST_HOSTS)
        self._sessions = sessions

        class Resuming(ssl.SSLObject):
            """Offers the host's last session in its handshake; a server that does not know it ignores it."""

            _begun = False

            def do_handshake(self) -> None:
                if not self._begun:
                    self._begun = True
                    known = sessions.get(self.server_hostname or "")
                    if known is not None:
                        self.session = known
                super().do_handshake()

        context.sslobject_class = Resuming

    def keep(self, tls: ssl.SSLObject | None) -> None:
        """Keep the session of a connection that has answered: tickets arrive after TLS 1.3's handshake."""
        session = None if tls is None else tls.session
        if tls is not None and session is not None and session.has_ticket and tls.server_hostname:
            self._sessions.put(tls.server_hostname, session)
