"""Seen from outside: log lines and metrics."""
