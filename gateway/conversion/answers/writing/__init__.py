"""Writing one message: which block is open, what waits behind it, which call a fragment belongs to.

Belongs here: the order of blocks and their events, whatever API the provider speaks.
Does not belong here: how chunks are read (`chat_stream`, `openai_responses`), and filters of texts.
"""
