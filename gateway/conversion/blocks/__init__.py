"""Content blocks that several protocols share: images, documents, parts of a chat message.

Belongs here: one module per kind of block.
Does not belong here: turns and roles (`requests.messages`), and what tokens a block costs (`tokens`).
"""
