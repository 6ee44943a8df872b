"""What happened: every exchange is recorded, kept, found again and counted.

At this level: the outcome of one exchange, who may read what, the live tail, retention.
The rooms: record (writing rows), content (texts), secrets (masking), search, totals.
Does not belong here: the log of configuration changes (`gateway.config.changes`).
"""
