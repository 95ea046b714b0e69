"""What associations say of themselves, and the search for who can help (domain §3)."""

from cordee.profile.entry import PROFILE_LIMIT, Profile, Service, Shelter, departement_name
from cordee.profile.search import Match, Query, search

__all__ = [
    "PROFILE_LIMIT",
    "Match",
    "Profile",
    "Query",
    "Service",
    "Shelter",
    "departement_name",
    "search",
]
