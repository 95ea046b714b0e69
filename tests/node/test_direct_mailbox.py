from __future__ import annotations

import pytest

from cordee.errors import InvalidInput
from node.direct_mailbox import Door


@pytest.mark.parametrize("endpoint", ["", "lille.example", "lille.example:0", "https://lille.example:7443", "a b:1"])
def test_an_address_that_nobody_could_reach_is_refused_by_its_name(endpoint: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Door(listen="0.0.0.0:7443", endpoint=endpoint).require_sound()
    assert refused.value.facts["field"] == "mailbox-endpoint"


@pytest.mark.parametrize("listen", ["", "7443", ":7443", "0.0.0.0:", "0.0.0.0:port", "0.0.0.0:70000"])
def test_a_place_to_listen_that_does_not_exist_is_refused_by_its_name(listen: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Door(listen=listen, endpoint="lille.example:7443").require_sound()
    assert refused.value.facts["field"] == "mailbox-listen"


def test_both_addresses_as_they_should_be() -> None:
    Door(listen="0.0.0.0:7443", endpoint="lille.example:7443").require_sound()
    Door(listen="[::]:7443", endpoint="[2001:db8::1]:7443").require_sound()
