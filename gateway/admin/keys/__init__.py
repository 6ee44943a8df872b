"""Client keys in the console: issuing, limits, usage."""
