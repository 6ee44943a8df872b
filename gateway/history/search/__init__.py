"""The search index over conversations.

Belongs here: cutting texts into words, the index on SQLite and PostgreSQL, what an exchange adds to it.
Does not belong here: filters of the request list (`gateway.admin.requests`).
"""
