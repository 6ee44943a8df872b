"""Costs in the console: what was spent, by whom and on what, and files for accounting."""
