"""A folder that nobody else can write to: what lies in it is executed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from rollup.errors import SettingsError
from rollup.files import writing

OTHERS = stat.S_IWGRP | stat.S_IWOTH


def private(folder: Path) -> Path:
    """The folder, made if it is missing, and readable by its owner alone if it was made. Raises SettingsError if anybody but this
    process's user and root could put something into it or in its place, FileError if it can't be made.
    """
    path = Path(os.path.realpath(folder))
    with writing(folder):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.mkdir(mode=0o700, exist_ok=True)
    _require(path, own=True)
    for above in path.parents:
        _require(above, own=False)
    return path


def _require(path: Path, own: bool) -> None:
    """``own``: it must be this user's; else root's will do, and a folder in which nobody can touch another's entries (/tmp)."""
    found = path.lstat()
    user = os.geteuid()
    if not stat.S_ISDIR(found.st_mode):
        raise SettingsError(f"{path} is no folder; name a folder for what was compiled")
    if found.st_uid != user and (own or found.st_uid != 0):
        raise SettingsError(
            f"{path} belongs to user {found.st_uid}, and what was compiled there would be executed by user {user}; "
            "name a folder of one's own, in folders of one's own or of root"
        )
    if found.st_mode & OTHERS and (own or not found.st_mode & stat.S_ISVTX):
        raise SettingsError(
            f"{path} can be written by others (mode {stat.S_IMODE(found.st_mode):o}), and what was compiled there is executed; "
            "take that right away with chmod go-w, or name another folder"
        )


def own_file(path: Path) -> bool:
    """Whether it is a plain file of this user, that nobody else can write to."""
    found = path.lstat()
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & OTHERS
