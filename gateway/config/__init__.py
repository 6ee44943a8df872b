"""Configuration: records, environment and files on one side, one frozen snapshot on the other.

At this level: the log of changes, records of what was learnt.
The rooms: snapshot, presets, file, startup, explain. Does not belong here: the records (`gateway.models`).
"""
