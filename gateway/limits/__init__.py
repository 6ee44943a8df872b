"""Limits and budgets of client keys: checked before a request, settled after it with the actual usage.

Belongs here: meters, windows of time, the stores of counters, and keeping budgets equal to the history.
Does not belong here: bounds of a process (`gateway.relay.gate`), and what a request costs
(`gateway.pricing`).
"""
