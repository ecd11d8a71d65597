"""A dialect outside `streaming`, plugged in by its line in INSTALLED_APPS alone: what one client sends, all clients are sent."""
