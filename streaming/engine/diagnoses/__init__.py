"""What the engine itself looks at for `manage.py doctor`."""
