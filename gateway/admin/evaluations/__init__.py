"""Evaluations in the console: start one, follow it, read its report, and make a canary of what it shows.

Belongs here: the pages of evaluations and datasets. Does not belong here: what is asked and how it is
compared (`gateway.evaluation`).
"""
