"""LEAVING: the server itself cancels who answers, when the client leaves.

Replaces, where a server offers it, two tasks beside each application's own: one that
waits for the message of the leaving, and one that can be cancelled because of it.

An ASGI extension, a callable without arguments. An application that calls it has its
task cancelled when the client leaves before the answer is complete, and need not ask
for that message. Servers without it send the message, as ever.
"""

from __future__ import annotations

from typing import Final

LEAVING: Final = "ccproxy.leaving"
