"""A stream from the commit point on: bytes in, bytes out.

Belongs here: the pump, its inbox and timer, and the direct way to the client's transport.
Does not belong here: the meaning of events (`gateway.conversion`).
"""
