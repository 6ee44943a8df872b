"""Bounds of connections: how many there may be, how long each may take, and how much they may hold.

Belongs here: the numbers (`bounds`), all connections of a process (`registry`), one of them (`slot`).
Does not belong here: reading requests and writing answers, which report to a slot.
"""
