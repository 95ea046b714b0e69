"""Whatever goes wrong while a server looks at itself, whoever asks gets an answer, and not that all is well."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from cordee.runtime.doctor import Finding
from cordee.runtime.telling import Told, telling


async def ask(address: str, path: str) -> tuple[int, str]:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\n\r\n".encode())
    head, _, body = (await asyncio.wait_for(reader.read(), 20)).decode().partition("\r\n\r\n")
    writer.close()
    return int(head.split()[1]), body


async def test_what_cannot_be_found_out_is_not_well() -> None:
    async def examine() -> Sequence[Finding]:
        raise RuntimeError

    async def metrics() -> bytes:
        raise RuntimeError

    async with telling("127.0.0.1:0", Told(alive=lambda: True, examine=examine, metrics=metrics)) as address:
        assert await ask(address, "/readyz") == (503, '{"ready": false, "broken": ["not_examined"]}')
        assert await ask(address, "/metrics") == (500, "")
        assert await ask(address, "/findings") == (500, "")
        assert (await ask(address, "/healthz"))[0] == 200
