"""How Daphne serves the project, with each part at an extension point of Daphne, Twisted or Django.

Belongs here: connections and their bounds, HTTP, writing streams, start and stop, several processes.
Does not belong here: what a request means (`gateway`).
"""
