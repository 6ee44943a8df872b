"""The notebook of one request: facts, timeline, ids, log line.

Belongs here: what is noted while an exchange runs, and the list of running exchanges.
Does not belong here: decisions (`gateway.relay`), and storage (`gateway.history`).
"""
