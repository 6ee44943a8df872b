"""Configurations of other gateways as ours: a document for gateway/config/file/document.py, and a report.

Belongs here: reading the files of claude-code-router and LiteLLM, and saying what becomes of each line.
Does not belong here: storing anything, which `document.imported` does.
"""
