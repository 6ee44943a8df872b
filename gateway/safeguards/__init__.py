"""Which tool calls of an answer an admin's rules let run, for auto mode's safety check.

Belongs here: reading an action (a shell command, a path) and judging it by rules. Pure functions.
Does not belong here: names of the client's protocol (`gateway.client_protocol`), records and pages.
"""
