"""Providers that speak the Messages API themselves: everything passes.

Belongs here: what is changed on the way all the same, and reading the answer for the history.
Does not belong here: conversions to other protocols.
"""
