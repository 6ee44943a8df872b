"""Does Claude Code work with this gateway? The real client, version by version, against a real gateway.

Belongs here: what drives the client, on a terminal and in print mode, and the scenarios that it goes through.
Does not belong here: tests of the gateway alone, which need no client (tests/).
"""
