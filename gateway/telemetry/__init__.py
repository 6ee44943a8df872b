"""The gateway seen from outside: log lines and metrics.

Belongs here: the form of log lines, and counts and times for Prometheus.
Does not belong here: the history of requests (`gateway.history`).
"""
