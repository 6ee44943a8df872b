"""Records that admins edit: providers, mappings, prices, keys, search engines.

Belongs here: one module per record that the snapshot reads, and what was found about providers.
Does not belong here: history, and records that processes write about themselves.
"""
