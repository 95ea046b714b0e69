"""What both servers need to run: it may do I/O, and knows nothing of cases.

Importing this package restricts gRPC to TLS 1.3, which its Python interface cannot be asked for: the one TLS 1.2
suite that is left needs a pre-shared key that nobody has. gRPC reads the variable when it is itself imported,
not when it makes its first credentials, so this package must be imported before it; `LATE` says that it was not, and
every listener then says so in the log. The connection guard checks the outcome on every call, whatever was negotiated.

It also has gRPC read and write its sockets in the threads that wait for them: handing each piece to a pool of threads
(its "event engine") takes a quarter more time of all processors for a large file (docs/performance.md). A release that
does not know these names goes its own way.
"""

from __future__ import annotations

import os
import sys

__all__ = ["LATE", "ONLY_TLS_1_3", "SOCKETS"]

ONLY_TLS_1_3 = "ECDHE-PSK-CHACHA20-POLY1305"
SOCKETS = "-event_engine_client,-event_engine_listener"

LATE = "grpc._cython.cygrpc" in sys.modules and os.environ.get("GRPC_SSL_CIPHER_SUITES") != ONLY_TLS_1_3
"""gRPC was imported before this package: handshakes of TLS 1.2 succeed, and only the guard refuses the calls."""

os.environ["GRPC_SSL_CIPHER_SUITES"] = ONLY_TLS_1_3
os.environ.setdefault("GRPC_EXPERIMENTS", SOCKETS)
