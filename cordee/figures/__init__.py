"""The yearly report for the authority that supervises: counts without anybody in them, as HTML, CSV and PDF.

`protection` decides which count may be told, `catalogue` says which tables there are and what each count means,
`report` puts them together, and `page`, `charts`, `sheet` and `paper` write it down. Who counts what, and why nobody
can find a person by subtracting: docs/yearly-report.md and decision 24.
"""
