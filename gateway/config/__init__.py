"""Records -> snapshot, and the environment and presets -> records."""
