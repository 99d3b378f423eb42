"""A gate between public datasets and the firms that build on them; read ``gateway/flow.py`` first."""
