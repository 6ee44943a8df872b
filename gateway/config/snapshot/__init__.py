"""The configuration in force, read from the records as one frozen value.

Belongs here: loading, prices and model sizes, noticing that something changed.
Does not belong here: writing records.
"""
