"""Generate `cordee/v1/` from `proto/`: messages, services and their type stubs."""

from __future__ import annotations

import importlib.resources
import sys
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent


def generate(root: Path = ROOT) -> None:
    """Write the generated modules. Raises SystemExit with protoc's own code where a source is malformed."""
    sources = sorted(str(path.relative_to(root / "proto")) for path in (root / "proto").rglob("*.proto"))
    well_known = importlib.resources.files("grpc_tools") / "_proto"
    (root / "cordee" / "v1").mkdir(parents=True, exist_ok=True)
    (root / "cordee" / "v1" / "__init__.py").write_text('"""Generated from `proto/`; see `make proto`."""\n')
    code = protoc.main(
        [
            "protoc",
            f"-I{root / 'proto'}",
            f"-I{well_known}",
            f"--python_out={root}",
            f"--grpc_python_out={root}",
            f"--mypy_out=quiet:{root}",
            f"--mypy_grpc_out=quiet,only_async:{root}",
            *sources,
        ]
    )
    if code != 0:
        sys.exit(code)


if __name__ == "__main__":
    generate()
