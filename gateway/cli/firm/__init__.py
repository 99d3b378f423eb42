"""The firm's commands. They need the base distribution only, nothing of the server."""
