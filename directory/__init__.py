"""The directory: it keeps the roster log, decides each step of a transfer by the table, and reads nothing."""
