"""Where a request goes; frozen values only."""
