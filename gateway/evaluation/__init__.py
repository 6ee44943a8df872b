"""Evaluations: recorded steps asked of a candidate model, and how far it would have done the same.

Belongs here: which steps are taken, the run that asks them, what comes of it, and proposals. The comparison
of two answers is `comparison`, which is sans-IO. Does not belong here: how one request is asked again
(`relay/request_replay.py`), and the pages (`admin/evaluations`).
"""
