"""Where the node's API lies: a unix socket that only the node's own account can open."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cordee.errors import N_, InvalidInput

__all__ = ["SOCKET_PATH_LIMIT", "default_socket", "prepare", "target"]

SOCKET_PATH_LIMIT = 107  # bytes: sun_path of unix(7) has 108, and one ends it


def default_socket(data_dir: Path) -> Path:
    """The socket of the node whose data lie in `data_dir`."""
    return data_dir / "run" / "node.sock"


def target(socket: Path) -> str:
    """The socket as gRPC names it. Raises InvalidInput where the path is longer than the kernel takes."""
    return f"unix://{_checked(socket)}"


def prepare(socket: Path) -> Path:
    """Make its folder (0700) and take away the socket that a killed node left. Returns the absolute path to bind.

    Raises: InvalidInput where the path is too long, the folder is open to others, or something else lies there.
    """
    path = _checked(socket)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if stat.S_IMODE(path.parent.stat().st_mode) & 0o077:
        raise InvalidInput(
            field="socket", problem=N_("others may enter {folder}; chmod 700 it, or choose another"), folder=path.parent
        )
    if path.is_socket():
        path.unlink()
    elif path.exists():
        raise InvalidInput(field="socket", problem=N_("{path} exists and is no socket"), path=path)
    return path


def _checked(socket: Path) -> Path:
    path = socket.absolute()
    length = len(os.fsencode(path))
    if length > SOCKET_PATH_LIMIT:
        raise InvalidInput(
            field="socket",
            problem=N_("its path has {size} bytes, {limit} are possible; give a shorter one with --socket"),
            size=length,
            limit=SOCKET_PATH_LIMIT,
        )
    return path
