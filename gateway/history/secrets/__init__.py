"""Secrets are masked before anything is stored.

Belongs here: what secrets look like, and the masking of texts, JSON and streams.
Does not belong here: redacting error messages on their way to a client (`conversion.errors`).
"""
