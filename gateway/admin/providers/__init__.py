"""Providers in the console, and what is known about them: trials, health, options, token factors."""
