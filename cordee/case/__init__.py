"""The case record: its sections and fields, how it is checked, and what of it may leave (domain §1).

Twenty sections; a section is the unit of consent, of encryption and of transfer. The schema is
`cordee/data/case.schema.json`, what may leave for which purpose is `cordee/data/minimisation.json`.
"""

from cordee.case.capacity import capacity_summary
from cordee.case.form import LIST_SECTIONS, SECTIONS, label_of
from cordee.case.merging import come_back, told_of, with_entries
from cordee.case.minimisation import PURPOSES, Purpose, check_scope, mandatory_sections, minimise
from cordee.case.record import (
    CASE_LIMIT,
    Case,
    case_of,
    decode_sections,
    encode_sections,
    missing_for,
    parse_case,
    received_case,
)

__all__ = [
    "CASE_LIMIT",
    "LIST_SECTIONS",
    "PURPOSES",
    "SECTIONS",
    "Case",
    "Purpose",
    "capacity_summary",
    "case_of",
    "check_scope",
    "come_back",
    "decode_sections",
    "encode_sections",
    "label_of",
    "mandatory_sections",
    "minimise",
    "missing_for",
    "parse_case",
    "received_case",
    "told_of",
    "with_entries",
]
