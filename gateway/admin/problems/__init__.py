"""Problems in the console: failures of one kind, decisions about them, and who is notified outside."""
