"""Where a request goes; frozen values only.

Belongs here: the snapshot of the configuration, `resolve()`, names of models, the layers of a profile, and
the events that a process reports about targets.
Does not belong here: loading the configuration (`gateway.config`), and failover (`gateway.upstream`).
"""
