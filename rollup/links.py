"""Constants that several programs have are one file: models of one family, or one model at several lengths, share their weights.

Files of constants are never written in place, and their names are their roots: a further name of one is as good as a copy.
"""

from __future__ import annotations

import filecmp
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

LINKING = ".linking"


def link_constants(folder: Path, others: Iterable[Path]) -> int:
    """Make the constants of a saved program one file with equal ones of other saved programs; the bytes that this frees.

    Where files can't be linked, because they lie on different disks or the disk knows no links, they stay as they are.
    """
    freed = 0
    constants = folder / "constants"
    left = {path.name for path in constants.glob("*.bin")}
    for other in others:
        for name in sorted(left):
            with suppress(OSError):
                own, theirs = constants / name, other / "constants" / name
                if not theirs.is_file() or theirs.is_symlink():
                    continue
                if not own.samefile(theirs):
                    # A name promises its content, but a file may be damaged.
                    if not filecmp.cmp(own, theirs, shallow=False):
                        continue
                    beside = constants / f"{name}{LINKING}"
                    beside.unlink(missing_ok=True)
                    os.link(theirs, beside)
                    freed += own.stat().st_size
                    beside.replace(own)
                left.discard(name)
    return freed
