"""The session tokens of this person on this machine: one for each node, in a file that only they can read."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from cordee.errors import N_, InvalidInput

__all__ = ["Sessions", "session_file"]


def session_file() -> Path:
    """`CORDEE_SESSION_FILE`, or `cordee/session.json` in the state folder of the XDG base directories."""
    given = os.environ.get("CORDEE_SESSION_FILE")
    if given:
        return Path(given)
    from platformdirs import user_state_path

    return user_state_path("cordee") / "session.json"


class Sessions:
    """Tokens by the absolute path of the node's socket."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def token(self, socket: Path) -> str | None:
        """The token for one node, or None where nobody is signed in there."""
        return self._read().get(str(socket.absolute()))

    def keep(self, socket: Path, token: str) -> None:
        """Remember a token."""
        self._write(self._read() | {str(socket.absolute()): token})

    def forget(self, socket: Path) -> None:
        """Forget the token of one node; nothing happens where there is none."""
        tokens = self._read()
        if tokens.pop(str(socket.absolute()), None) is not None:
            self._write(tokens)

    def _read(self) -> dict[str, str]:
        try:
            tokens = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError as damaged:
            raise self._damaged() from damaged
        if not isinstance(tokens, dict) or not all(isinstance(token, str) for token in tokens.values()):
            raise self._damaged()
        return tokens

    def _damaged(self) -> InvalidInput:
        return InvalidInput(field=str(self._path), problem=N_("is no session file; remove it and sign in again"))

    def _write(self, tokens: dict[str, str]) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp makes the file 0600 from its first moment; the rename makes the change whole or not at all.
        handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=".session-")
        try:
            with os.fdopen(handle, "w") as file:
                json.dump(tokens, file)
            Path(name).replace(self._path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
