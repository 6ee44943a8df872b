"""What a provider charges for tokens; frozen values and arithmetic only."""
