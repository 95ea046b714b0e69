"""What must be true of every image: it opens, nothing that was acknowledged is missing, nothing is half there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from cordee.runtime.ballast import BALLAST
from tests.faults.power_cuts.database import NOTHING, Found, Opener
from tests.faults.power_cuts.disk import Content, Disk, Image, Moment
from tests.faults.power_cuts.telling import COMMITTED, LASTS, STEP
from tests.faults.power_cuts.trace import Mark

__all__ = ["Judge", "Wrong"]

_DATABASES = ("node.db", "directory.db")
_GROWING = ("tombstones", "mailbox/")  # only ever appended to: more may be there than was acknowledged
_LEFT_OVER = ("spool/", "run/", "attachments/", "mailbox/")  # what nothing refers to is swept or fetched again


@dataclass(frozen=True)
class Wrong:
    """One thing that must not be, in one image."""

    kind: str
    """`lost`: it was acknowledged. `half`: a part of something is there. `broken`: it does not open."""
    what: str


@dataclass
class Judge:
    """Follows one machine from moment to moment; asked of the whole image of a moment before all others of it."""

    disk: Disk
    opener: Opener | None
    base: str
    """Where in the machine's folder a node lies: empty, or `node/`."""
    database: str
    step: str = ""
    _said: list[bytes] = field(default_factory=list)
    _floor: int = 0
    _versions: dict[str, set[bytes]] = field(default_factory=dict)
    _last: dict[str, bytes] = field(default_factory=dict)
    _owed: dict[str, Content] = field(default_factory=dict)
    _allowed: dict[str, set[bytes | None]] = field(default_factory=dict)
    _marks: list[tuple[int, str]] = field(init=False)

    @classmethod
    def of(cls, disk: Disk, folder: Path) -> Judge:
        """For a machine with the database of a node or of the directory, or with none. `folder` is for opening it."""
        names = {each.op.name for each in disk.events if hasattr(each.op, "name")}
        database = next((each for each in _DATABASES if each in names), "")
        base = "node/" if "node" in names else ""
        return cls(disk, Opener(folder, base, database) if database else None, base, database)

    def __post_init__(self) -> None:
        self._marks = [(each.begun, each.op.text) for each in self.disk.events if isinstance(each.op, Mark)]

    def whole(self, moment: Moment, image: Image) -> None:
        """What the program itself sees at that moment, and what it has said until then."""
        said = self._found(image).said
        if not self._said or self._said[-1] != said:
            self._said.append(said)
        for path in self._allowed.keys() | image.files.keys():
            content = image.files.get(path)
            if path in self._allowed:
                self._allowed[path].add(None if content is None else content.digest)
            if content is not None and not self._is_database(path):
                self._versions.setdefault(path, set()).add(content.digest)
                self._last[path] = content.digest
        while self._marks and self._marks[0][0] < moment.position:
            self._hear(self._marks.pop(0)[1], image)

    def _hear(self, text: str, image: Image) -> None:
        if text.startswith(STEP):
            self.step = text.removeprefix(STEP)
        elif text in (COMMITTED, LASTS):
            self._floor = len(self._said) - 1
        if text.startswith(LASTS):
            for path, content in image.files.items():
                if (
                    path.startswith(self.base + text.removeprefix(LASTS))
                    and not self._is_database(path)
                    and _lasting(path)
                ):
                    self._owed[path] = content
                    self._allowed[path] = {content.digest}

    def wrong_with(self, image: Image) -> list[Wrong]:
        """What must not be."""
        found = self._found(image)
        if found.problem:
            return [Wrong("broken", f"{self.database} does not open: {found.problem}")]
        wrong = []
        if found.said not in self._said:
            wrong.append(Wrong("half", f"{self.database} holds what it never held"))
        elif found.said not in self._said[self._floor :]:
            wrong.append(Wrong("lost", f"{self.database} has lost a committed step"))
        wrong += self._files(image)
        wrong += self._belonging(found, image.files)
        return wrong

    def _found(self, image: Image) -> Found:
        return NOTHING if self.opener is None else self.opener.found(image)

    def _files(self, image: Image) -> list[Wrong]:
        wrong = []
        for path, owed in self._owed.items():
            if path.removeprefix(self.base) == BALLAST:  # room, and no promise: it is made again
                continue
            content, allowed = image.files.get(path), self._allowed[path]
            if content is None:
                if None not in allowed:
                    wrong.append(Wrong("lost", f"{path} is missing"))
            elif path.removeprefix(self.base).startswith(_GROWING):
                if not content.data.startswith(owed.data) and None not in allowed:
                    wrong.append(Wrong("lost", f"{path} has lost what was acknowledged"))
            elif content.digest not in allowed:
                wrong.append(Wrong("lost", f"{path} is not what was acknowledged"))
        for path, content in image.files.items():
            left_over = path.removeprefix(self.base).startswith((*_LEFT_OVER, *_GROWING))
            ours = not left_over and not self._is_database(path) and _lasting(path)
            if ours and content.digest not in self._versions.get(path, ()):
                wrong.append(Wrong("half", f"{path} holds what it never held"))
        return wrong

    def _belonging(self, found: Found, files: Mapping[str, Content]) -> list[Wrong]:
        """What the database relies on."""
        needed = [f"{self.base}attachments/{each}" for each in found.files]
        needed += [f"{self.base}inflight/{date.fromordinal(each).isoformat()}.key" for each in found.days]
        needed += [f"{self.base}vault.json"] if found.secrets else []
        wrong = [Wrong("lost", f"{each} is missing, and the database needs it") for each in needed if each not in files]
        for path in needed[: len(found.files) + len(found.days)]:
            if path in files and files[path].digest != self._last.get(path):
                wrong.append(Wrong("half", f"{path} is not whole, and the database needs it"))
        return wrong

    def _is_database(self, path: str) -> bool:
        return path.rpartition("/")[2].startswith(_DATABASES)


def _lasting(path: str) -> bool:
    if any(part.startswith(".") for part in path.split("/")[:-1]):
        return False  # a draft of a folder
    name = path.rpartition("/")[2]
    return not name.startswith(".") and not name.endswith((".lock", ".in"))
