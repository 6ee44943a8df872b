"""Problems in the console: failures of one kind, what people decide about them, and who is told outside."""
