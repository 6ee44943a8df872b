"""The Django project: settings, environment, the ASGI application and the HTTP server.

Belongs here: what a deployment configures, and how requests reach the gateway (`server`).
Does not belong here: anything that knows what a request means (`gateway`).
"""
