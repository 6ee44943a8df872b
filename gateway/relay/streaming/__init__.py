"""A stream from the commit point on: bytes in, bytes out.

Belongs here: the pump, what it reads from (inbox, provider's body), what wakes it (silence, timer), how it
ends, and the direct way to the client's transport.
Does not belong here: the meaning of events (`gateway.conversion`).
"""
