"""Providers in the console, and what is learnt about them: trials, health, options, token factors."""
