"""Secrets and sessions: digests of client keys, encryption of what must be read again, forbidden addresses.

Belongs here: making and checking keys, sealing values, ending console sessions.
Does not belong here: who may do what (`gateway.admin`), and masking stored texts (`gateway.history.secrets`).
"""
