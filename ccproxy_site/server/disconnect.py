"""LEAVING: the server itself cancels the answering task when the client leaves.

Where a server offers it, this replaces two tasks beside each application's own: one that waits for the
message of the leaving, and one that can be cancelled because of it.

An ASGI extension, a callable without arguments. The task of an application that calls it is cancelled when
the client leaves before the answer is complete, so it need not wait for that message. Other servers send
the message as usual.
"""

from __future__ import annotations

from typing import Final

LEAVING: Final = "ccproxy.leaving"
