"""Template tags of the pages of processes."""
