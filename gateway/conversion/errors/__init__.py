"""A provider's error becomes an error of the Messages API, and what it teaches.

Belongs here: reading error bodies, context overflows, retry delays, refusals of options, redaction.
Does not belong here: our own refusals of a request (`validation`), and retrying (`gateway.upstream`).
"""
