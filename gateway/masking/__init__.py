"""What secrets look like, and how they leave a message.

Belongs here: the one table of kinds (`kinds`), and messages to clients (`redaction`).
Does not belong here: masking what is stored, which has an admin's patterns and a budget (`history.secrets`).
"""
