"""The command: compares the files of a folder, or the samples."""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path

from streaming.core.errors import StreamError

from .compare import compare
from .samples import SAMPLES


def main(arguments: list[str]) -> int:
    """Print a line for each tile; 1 if one differs too much."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        if arguments:
            paths = sorted(path for name in arguments for path in Path(name).rglob("*.tif*") if path.suffix in (".tif", ".tiff"))
        else:
            paths = [make(Path(folder) / f"{name}.tif") for name, make in SAMPLES.items()]
        print(f"{'file':<36} {'tile':<18} {'filled':>7} {'mean':>7} {'most':>5} {'alpha equal':>12}")
        return max([_print(path) for path in paths], default=0)


def _print(path: Path) -> int:
    try:
        found = compare(path)
    except (StreamError, ValueError) as error:
        print(f"{path.stem[:36]:<36} refused: {str(error)[:100]}")
        return 0
    for each in found:
        numbers = f"{each.filled:>7.1%} {each.colours:>7.3f} {each.largest:>5} {each.equal_alpha:>12.3%}"
        print(f"{path.stem[:36]:<36} {'/'.join(map(str, each.tile)):<18} {numbers}{'' if each.small else '  <-- differs'}")
    return int(not all(each.small for each in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
