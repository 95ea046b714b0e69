"""For every test: gRPC is told which TLS it may speak before anybody imports it (see cordee.runtime)."""

import cordee.runtime  # noqa: F401 - first of all
