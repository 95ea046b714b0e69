"""The node's pages out of its templates."""

from __future__ import annotations

from typing import Final

from cordee.web.rendering import Templates, problems_in_words, refused_in_words, size_text

__all__ = ["TEMPLATES", "page", "problems_in_words", "refused_in_words", "size_text"]

TEMPLATES: Final = Templates("node.web")
page: Final = TEMPLATES.page
