"""HTTP for clients: the Messages API's endpoints as async Django views.

Belongs here: paths, headers, authentication, decoding of bodies, responses, health, metrics.
Does not belong here: what a body means (`gateway.conversion`), and the course of a request (`gateway.relay`).
"""
