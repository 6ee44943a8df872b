"""How bytes and JSON look on both sides, without their meaning.

Belongs here: JSON text, server-sent events, the shapes of the Messages API and Chat Completions, finding
known parts in a request's bytes.
Does not belong here: anything that knows what a field is for (`gateway.conversion`).
"""
