"""People, changes, retention and what needs attention, in the console."""
