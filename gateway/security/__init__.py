"""Secrets: client keys (digests only) and the encryption of what must be read again. No Django."""
