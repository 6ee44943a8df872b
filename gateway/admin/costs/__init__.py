"""Costs in the console: what was spent, by whom and on what, with files for accounting."""
