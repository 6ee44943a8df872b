"""Seen from outside: log lines."""
