"""Talking to providers.

At this level: the client, how a request to a provider is built, search engines, the demo provider.
The rooms: http1 (the transport), failover (again, elsewhere, or give up), trial (trying a provider out).
Does not belong here: what bodies mean (`gateway.conversion`), and the story of an exchange (`gateway.relay`).
"""
