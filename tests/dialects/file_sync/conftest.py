"""The fixtures of the tests of files."""

from tests.files.conftest import folder, http, root, service, user_with

__all__ = ["folder", "http", "root", "service", "user_with"]
