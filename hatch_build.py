"""Build hook: generate the protobuf code before a wheel or an editable install is made."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class GenerateProtobuf(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's base is generic over its own config
    """Runs `tools/genproto.py`, so that no generated code is kept in the repository."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it builds."""
        sys.path.insert(0, str(Path(self.root) / "tools"))
        from genproto import generate

        generate(Path(self.root))
        build_data["artifacts"].append("cordee/v1/*")
