"""The tools that a request offers: which ones the model sees, and how their schemas are written.

Belongs here: exposure, tool choice, functions, JSON Schemas and their dialects, client and server tools.
Does not belong here: calls of tools, in requests or answers (`conversion.tool_calls`).
"""
