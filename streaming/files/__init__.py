"""Files: a folder that stays the same everywhere."""
