"""Model mappings and prices in the console."""
