"""How many tokens a text, an image or a message has, estimated before the provider counts.

Belongs here: the lexical rule, vocabularies, image costs, and the window that a client assumes.
Does not belong here: what a provider reported (`answers.usage`), and prices (`gateway.pricing`).
"""
