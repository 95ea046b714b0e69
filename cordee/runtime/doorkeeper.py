"""How many connections a port may have, and who has to go where there are too many.

gRPC takes every connection that comes, until no file can be opened any more; its own limit on their number refuses
whoever comes next, which is the honest. So we look at our own sockets, twice a second, and shut those that matter
least (ADR 29): of one member more than it needs, and of strangers, who have made no call yet, whoever comes from the
address that has the most. A member who works keeps its connection whatever comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import resource
import socket
import struct
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from cordee.runtime.logs import logger

__all__ = ["Bounds", "Connection", "DoorCounts", "Doorkeeper", "to_be_shut"]

log = logger("doorkeeper")

_OWN = "/proc/self/fd"
_RECEIVED = 128  # offset of tcpi_bytes_received in struct tcp_info of linux/tcp.h
_INFO = 192  # bytes of it that we ask for
_CREDENTIALS = struct.Struct("3i")  # process, user, group: struct ucred of unix(7)


class DoorCounts(Protocol):
    """What a listener knows of those who came to it; each number only grows."""

    @property
    def begun(self) -> int:
        """TLS handshakes."""
        ...

    @property
    def lost(self) -> int:
        """Those that led to nothing."""
        ...

    @property
    def shut(self) -> int:
        """Connections that had to go because there were too many."""
        ...


@dataclass(frozen=True)
class Bounds:
    """Numbers of connections of one port."""

    strangers: int = 256
    """That have made no call yet: a node makes its first at once."""
    of_one: int = 16
    """Of one caller: a node has one or two, and for a moment those of before a key was replaced."""
    prattle: int = 4 * 1024 * 1024
    """Bytes that a stranger may say without a call: a handshake and its first have a third of that."""
    at_once: int = 2048
    """In all, strangers that came just now included."""
    fresh: float = 2.0
    """Seconds in which a handshake and a first call may still be on their way."""
    every: float = 0.5
    """Seconds between two looks."""


@dataclass(frozen=True)
class Connection:
    """One of a port's, as far as it is known."""

    inode: int
    address: str  # of one host: an IPv6 host has the whole of its /64
    since: float  # when it was first seen
    received: int = 0  # bytes
    caller: Hashable = None  # who made a call on it


def to_be_shut(connections: Iterable[Connection], *, now: float, bounds: Bounds) -> list[Connection]:
    """Those that go, the least important first."""
    callers: dict[Hashable, list[Connection]] = defaultdict(list)
    strangers = []
    for each in connections:
        if each.caller is None:
            strangers.append(each)
        else:
            callers[each.caller].append(each)
    gone = [each for each in strangers if each.received > bounds.prattle]
    strangers = [each for each in strangers if each.received <= bounds.prattle]
    for own in callers.values():
        if len(own) > bounds.of_one:
            gone += sorted(own, key=lambda each: each.since)[: len(own) - bounds.of_one]
    known = sum(min(len(own), bounds.of_one) for own in callers.values())
    settled = [each for each in strangers if now - each.since >= bounds.fresh]
    gone += _from_the_most(settled, Counter(each.address for each in strangers), len(settled) - bounds.strangers)
    shut = {each.inode for each in gone}
    left = [each for each in strangers if each.inode not in shut]
    most = max(bounds.strangers, bounds.at_once - known)
    return gone + _from_the_most(left, Counter(each.address for each in left), len(left) - most)


def _from_the_most(found: Sequence[Connection], have: Counter[str], count: int) -> list[Connection]:
    """So many of these, each from the address that has the most; there whoever said least, then waits longest."""
    if count <= 0:
        return []
    of: dict[str, list[Connection]] = defaultdict(list)
    for each in sorted(found, key=lambda each: (each.received, each.since), reverse=True):
        of[each.address].append(each)
    gone: list[Connection] = []
    while len(gone) < count:
        address = max(of, key=lambda each: have[each])
        gone.append(of[address].pop())
        have[address] -= 1
        if not of[address]:
            del of[address]
    return gone


class Doorkeeper:
    """Looks after the connections of this process's listening ports."""

    def __init__(self, bounds: Bounds | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.bounds = bounds or Bounds()
        self._clock = clock
        self._ports: set[int] = set()
        self._paths: set[str] = set()  # of unix sockets
        self._seen: dict[int, tuple[str, str, float]] = {}  # inode: peer, address, since; others' sockets have no peer
        self._callers: dict[str, Hashable] = {}  # by peer
        self._highest = 0  # number of a descriptor that was a socket's, and one
        self._asked: set[str] = set()  # peers that made a call, whatever came of it
        self._fruitful = self._missing = 0
        self._lock = threading.Lock()
        self.begun = 0
        """How many TLS handshakes were begun so far."""
        self.lost = 0
        """How many of them ended before a first call, as far as the last look but one could tell: gRPC tells nobody
        that it refused one."""
        self.shut = 0
        """How many connections were shut so far."""

    def watch(self, port: int) -> None:
        """Look after this port too."""
        self._ports.add(port)

    def watch_socket(self, path: str) -> None:
        """Look after this unix socket too. gRPC does not say which of its connections a call came on: all are
        strangers, told apart by the process at the other end.
        """
        self._paths.add(path)

    def came(self) -> None:
        """A TLS handshake begins. From any thread."""
        with self._lock:
            self.begun += 1

    def asked(self, peer: str) -> None:
        """A call came on the connection from `peer`, from whomever."""
        if peer not in self._asked:
            self._asked.add(peer)
            self._fruitful += 1

    def met(self, peer: str, caller: Hashable) -> None:
        """Somebody known made a call on the connection from `peer`, as gRPC writes it: "ipv4:192.0.2.1:50000"."""
        self._callers[peer] = caller

    async def run(self) -> None:
        """Until cancelled."""
        while self._ports or self._paths:
            await asyncio.sleep(self.bounds.every)
            try:
                self.look()
            except Exception as unforeseen:  # without a doorkeeper strangers use up every descriptor there is
                log.error("connections.unseen", reason=type(unforeseen).__name__)

    def look(self) -> int:
        """One round; how many connections were shut."""
        own = self._own_sockets()
        now = self._clock()
        found = [each for inode, number in own.items() if (each := self._connection(inode, number, now)) is not None]
        self._forget(own)
        self._count(found)
        gone = to_be_shut(found, now=now, bounds=self.bounds)
        for each in gone:
            self._shut(each, own[each.inode])
        if gone:
            log.warning("connections.shut", count=len(gone))
        return len(gone)

    def _count(self, found: Sequence[Connection]) -> None:
        """Whoever came, did not ask, and is not here any more. Two looks must agree: a call may be on its way to us."""
        silent = sum(self._seen[each.inode][0] not in self._asked for each in found)
        missing = self.begun - self._fruitful - silent
        self.lost = max(self.lost, min(missing, self._missing))
        self._missing = missing

    def _own_sockets(self) -> dict[int, int]:
        """Descriptors of sockets of ours, by inode."""
        found: dict[int, int] = {}
        try:
            names = os.listdir(_OWN)
        except FileNotFoundError:  # no Linux: nothing is known, and nothing shut
            return found
        except OSError:  # no descriptor is left to read the folder with, which is when this matters most
            names = [str(number) for number in range(max(resource.getrlimit(resource.RLIMIT_NOFILE)[0], self._highest))]
        for name in names:
            inode = _inode(int(name))
            if inode is not None:
                found[inode] = int(name)
                self._highest = max(self._highest, int(name) + 1)
        return found

    def _connection(self, inode: int, number: int, now: float) -> Connection | None:
        if inode not in self._seen:
            peer, address = _peer_of(number, self._ports) if self._ports else ("", "")
            if self._paths and not peer and (process := _process_at(number, self._paths)):
                peer, address = f"unix:{inode}", f"process {process}"
            self._seen[inode] = peer, address, now
        peer, address, since = self._seen[inode]
        if not peer:
            return None
        caller = self._callers.get(peer)
        return Connection(inode, address, since, 0 if caller is not None else _received(number), caller)

    def _forget(self, there: Collection[int]) -> None:
        for inode in self._seen.keys() - set(there):
            del self._seen[inode]
        peers = {peer for peer, _, _ in self._seen.values()}
        self._callers = {peer: caller for peer, caller in self._callers.items() if peer in peers}
        self._asked &= peers

    def _shut(self, connection: Connection, number: int) -> None:
        if _inode(number) != connection.inode:  # closed meanwhile, and its number is another's
            return
        with contextlib.suppress(OSError), _borrowed(number) as line:
            line.shutdown(socket.SHUT_RDWR)  # whoever owns it hears of its end, and closes it
        self.shut += 1


def _inode(number: int) -> int | None:
    try:
        target = os.readlink(f"{_OWN}/{number}")
    except OSError:
        return None
    return int(target[8:-1]) if target.startswith("socket:[") else None


@contextlib.contextmanager
def _borrowed(number: int) -> Iterator[socket.socket]:
    """A socket that is somebody else's: never a copy of it, for an epoll would go on with the copy."""
    line = socket.socket(fileno=number)
    try:
        yield line
    finally:
        line.detach()


def _peer_of(number: int, ports: Collection[int]) -> tuple[str, str]:
    """The other end's name, as gRPC writes it, and its address; empty where it is no connection to these ports."""
    try:
        with _borrowed(number) as line:
            if line.family not in (socket.AF_INET, socket.AF_INET6) or line.getsockname()[1] not in ports:
                return "", ""
            host, port = line.getpeername()[:2]
    except OSError:  # a listener, or it has ended
        return "", ""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if isinstance(address, ipaddress.IPv4Address):
        return f"ipv4:{address}:{port}", str(address)
    return f"ipv6:%5B{address}%5D:{port}", str(ipaddress.ip_network((address, 64), strict=False))


def _process_at(number: int, paths: Collection[str]) -> int:
    """The process at the other end of a connection to one of these unix sockets; 0 where it is none."""
    try:
        with _borrowed(number) as line:
            if line.family != socket.AF_UNIX or line.getsockname() not in paths:
                return 0
            line.getpeername()  # what listens has none
            told = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError:
        return 0
    process, _, _ = _CREDENTIALS.unpack(told)
    return int(process)


def _received(number: int) -> int:
    """Bytes that came on a connection so far; 0 where that cannot be told."""
    try:
        with _borrowed(number) as line:
            info = line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO)
    except OSError:
        return 0
    return int(struct.unpack_from("Q", info, _RECEIVED)[0]) if len(info) >= _RECEIVED + 8 else 0
