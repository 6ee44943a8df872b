"""Records that running processes write about themselves: heartbeats, counters, set-aside targets.

Belongs here: state that the processes of one installation share.
Does not belong here: anything a person edits.
"""
