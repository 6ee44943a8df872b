"""Campaigns that kill, stop and starve a running gateway and count what is left, and their engines."""
