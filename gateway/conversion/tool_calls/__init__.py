"""Calls of tools: their ids, names and arguments, in both directions.

Belongs here: reading a provider's calls, repairing their arguments, ids that carry state.
Does not belong here: which tools are offered (`conversion.tools`), and content blocks of the answer.
"""
