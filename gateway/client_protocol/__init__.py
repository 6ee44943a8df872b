"""What Claude Code says to a gateway, and what it expects: every name of its own protocol.

Belongs here: header names, fields, values, and pure functions that read or write them. The vendor may change
the protocol with any release; a change should end here.
Does not belong here: HTTP, records, and what a gateway decides (`gateway.api`, `gateway.relay`,
`gateway.config`).
"""
