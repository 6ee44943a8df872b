"""OpenAI's Responses API as an upstream.

Belongs here: its requests, items, answers and events.
Does not belong here: what Chat Completions needs too; that is in `requests`, `answers` and `tools`.
"""
