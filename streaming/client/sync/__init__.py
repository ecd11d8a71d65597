"""File sync: keeps a folder of this machine the same as the one on a server. `python -m streaming.client.sync --help`."""
