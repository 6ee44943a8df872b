"""What one protocol means in the other: pure functions and one state machine."""
