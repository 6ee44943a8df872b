"""What one protocol means in the other. Sans-IO: no clock, no randomness, no network.

Belongs here: everything that reads or writes the Messages API, Chat Completions or Responses as values.
At this level: the profile of a model, what both halves of a conversion share, and the table of dialects.
The rooms: validation, requests, answers, tools, tool_calls, blocks, tokens, errors, and one per protocol
other than Chat Completions. Does not belong here: routing, transport, anything that waits.
"""
