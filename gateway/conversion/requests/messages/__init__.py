"""The conversation of a request: its turns become chat messages.

Belongs here: merging and pairing turns, and one module per role or kind of content.
Does not belong here: single content blocks that several protocols share (`conversion.blocks`).
"""
