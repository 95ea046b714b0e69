"""Getting the peers: Debian packages where they are missing, magic-wormhole in a virtual environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["PeerMissing", "debian", "wormhole"]

_BENCH = Path(__file__).resolve().parent.parent
_TOOLS = _BENCH / ".tools"
_LOCK = _BENCH / "peers.lock"
_SECONDS = 600


class PeerMissing(Exception):
    """A peer is not here and cannot be had; the text tells what a person can do."""


def debian(program: str, *, package: str) -> Path:
    """A program of a Debian package, installed if it is missing. Raises: PeerMissing."""
    if found := _which(program):
        return found
    by_hand = f"{program} is missing; install it with: apt-get install {package}"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise PeerMissing(by_hand)
    print(f"Installing {package} ({program} is missing) …", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", package]):
        try:
            done = subprocess.run(
                ["apt-get", *words], env=environment, capture_output=True, timeout=_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise PeerMissing(f"{by_hand} (apt-get {words[0]} took too long)") from None
        if done.returncode:
            raise PeerMissing(f"{by_hand} (apt-get {words[0]}: {done.stderr.decode(errors='replace').strip()[-300:]})")
    if found := _which(program):
        return found
    raise PeerMissing(by_hand)


def wormhole() -> Path:
    """The folder with `wormhole` and `twist`, of the versions in peers.lock. Raises: PeerMissing."""
    folder = _TOOLS / "wormhole"
    stamp = folder / ".installed"
    lock = _LOCK.read_text()
    if stamp.exists() and stamp.read_text() == lock:
        return folder / "bin"
    print("Installing magic-wormhole with its two servers into bench/.tools …", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    python = folder / "bin" / "python"
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
    pinned = ["--require-hashes", "--only-binary", ":all:", "-r", str(_LOCK)]
    for command in (
        [sys.executable, "-m", "venv", "--without-pip", str(folder)],
        ["pip", "--python", str(python), "install", *quiet, *pinned],
    ):
        try:
            done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as failed:
            raise PeerMissing(f"magic-wormhole cannot be installed: {failed}") from failed
        if done.returncode:
            text = done.stderr.decode(errors="replace").strip()[-300:]
            raise PeerMissing(f"magic-wormhole cannot be installed ({command[0]}: {text})")
    stamp.write_text(lock)
    return folder / "bin"


def _which(program: str) -> Path | None:
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    return Path(found) if found else None
