"""Known providers as data, and recognising them.

Belongs here: presets, the check of profile options, which provider a URL belongs to.
Does not belong here: providers that an admin configured.
"""
