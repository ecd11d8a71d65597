"""The topics that are always there."""
