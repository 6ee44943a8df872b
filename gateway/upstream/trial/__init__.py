"""Trying a provider out, outside any exchange.

Belongs here: the probe, the conformance run, the list of models, the client they share.
Does not belong here: pages and commands that show the result.
"""
