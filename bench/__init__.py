"""Measurements of the whole path, each against a peer in the same run: `python -m bench --help`.

What is measured, what it is compared with, and how far the figures can be trusted: docs/performance.md.
"""
