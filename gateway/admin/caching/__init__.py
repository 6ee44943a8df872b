"""How the provider's prompt caches were used: the report over a range, and the words for one miss.

Does not belong here: finding misses (`gateway.history.caching`).
"""
