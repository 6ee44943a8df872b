"""Configuration: records, environment and files on one side, one frozen snapshot on the other.

At this level: the log of changes, the configuration file, records of what was learnt.
The rooms: snapshot, presets, startup, explain. Does not belong here: the records (`gateway.models`).
"""
