"""The installed command, as a stranger runs it."""
