"""Tests with other people's clients, against a running server."""
