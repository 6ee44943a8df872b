"""Attacks on a real gateway, each with bounds on what it may cost."""
