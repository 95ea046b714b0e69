"""`age` and `curl` through an nginx that stores: the nearest that common tools come to an end-to-end mailbox.

Up: `age -r … file | curl -T -` (PUT); then down: `curl | age -d` (GET). TLS 1.3 with a certificate on both sides, as
between a node and the directory. nginx does not fsync, verifies nothing, and remembers nothing but the file.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.certificates import write_certificates
from bench.peers.installing import debian
from bench.place import free_port
from bench.services import PeerFailed, pipe, service

__all__ = ["age_alone", "age_nginx"]

_CONFIGURATION = """\
{user}
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
worker_processes auto;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    sendfile on;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/server.pem;
        ssl_certificate_key {folder}/server.key;
        ssl_client_certificate {folder}/ca.pem;
        ssl_verify_client on;
        ssl_protocols TLSv1.3;
        client_max_body_size 0;
        root {folder}/store;
        dav_methods PUT DELETE;
    }}
}}
"""


def age_alone(file: Path, folder: Path, *, seconds: float) -> float:
    """`age | age -d` with no network and no store: a line to read the others by. Raises: PeerMissing, PeerFailed."""
    age, identity, recipient = _age(folder)
    out = folder / "age-alone"
    try:
        return pipe([age, "-r", recipient, file], [age, "-d", "-i", identity, "-o", out], seconds=seconds)
    finally:
        out.unlink(missing_ok=True)


@contextlib.contextmanager
def age_nginx(folder: Path) -> Iterator[Callable[[Path, float], float]]:
    """A running nginx. Gives `carry(file, limit) -> seconds`: up, then down. Raises: PeerMissing, PeerFailed."""
    age, identity, recipient = _age(folder)
    curl = debian("curl", package="curl")
    nginx = debian("nginx", package="nginx-light")
    described = subprocess.run([nginx, "-V"], capture_output=True, text=True, timeout=30, check=True).stderr
    if "http_dav_module" not in described:
        raise PeerFailed("this nginx cannot store (no http_dav_module); Debian's nginx-light can")
    for name in ("store", "body", "proxy", "fastcgi", "uwsgi", "scgi"):
        (folder / name).mkdir()
    port = free_port()
    write_certificates(folder)
    user = "user root;" if os.geteuid() == 0 else ""  # its workers would else be somebody who cannot enter the folder
    configuration = folder / "nginx.conf"
    configuration.write_text(_CONFIGURATION.format(folder=folder, port=port, user=user))
    secured: list[str | Path] = [curl, "--fail", "--silent", "--show-error", "--cacert", folder / "ca.pem"]
    secured += ["--cert", folder / "client.pem", "--key", folder / "client.key"]

    def carry(file: Path, limit: float) -> float:
        url = f"https://127.0.0.1:{port}/{file.name}"
        out = folder / "arrived"
        began = time.perf_counter()
        pipe([age, "-r", recipient, file], [*secured, "-T", "-", url], seconds=limit)
        pipe([*secured, url], [age, "-d", "-i", identity, "-o", out], seconds=limit)
        seconds = time.perf_counter() - began
        if out.stat().st_size != file.stat().st_size:
            raise PeerFailed("age and nginx: another size arrived than was sent")
        out.unlink()
        (folder / "store" / file.name).unlink()
        return seconds

    log = folder / "nginx.log"
    with service([nginx, "-p", folder, "-e", "stderr", "-c", configuration], port=port, log=log):
        yield carry


def _age(folder: Path) -> tuple[Path, Path, str]:
    age = debian("age", package="age")
    keygen = debian("age-keygen", package="age")
    identity = folder / "age.key"
    if not identity.exists():
        subprocess.run([keygen, "-o", identity], capture_output=True, timeout=30, check=True)
    recipient = subprocess.run([keygen, "-y", identity], capture_output=True, text=True, timeout=30, check=True).stdout
    return age, identity, recipient.strip()
