"""The texts of exchanges, stored so that a conversation costs what it adds.

Belongs here: chunks, their store and codec, rebuilding a text, and sweeping what nobody needs.
Does not belong here: which texts are kept (`record.capture`), and masking (`secrets`).
"""
