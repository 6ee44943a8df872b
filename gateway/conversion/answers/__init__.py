"""A provider's chat answer becomes a message, streamed or whole.

Belongs here: the streams, the block writer, and what an answer says (reasoning, usage, stop reasons).
Does not belong here: tool calls as such (`conversion.tool_calls`), and errors (`conversion.errors`).
"""
