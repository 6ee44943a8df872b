"""HTTP/1.1 for httpx on asyncio protocols.

Belongs here: connections, their pool, dialling, proxies of the environment.
Does not belong here: anything that knows a provider or a model.
"""
