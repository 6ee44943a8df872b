"""Why the configuration does what it does, in sentences for people.

Belongs here: explanations of routes, options and probe results; models that no rule names.
Does not belong here: the decisions themselves (`gateway.routing`).
"""
