"""What happened: outcomes, the capture policy, and the recorder."""
