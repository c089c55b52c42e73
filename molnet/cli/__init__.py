"""The `molnet` command."""
