"""Talking to providers."""
