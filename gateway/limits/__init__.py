"""Limits and budgets of client keys: checked before a request, settled after it with the real usage."""
