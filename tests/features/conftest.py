"""Files of features, written as the tests of the commands write them."""

from tests.commands.conftest import lines_file

__all__ = ["lines_file"]
