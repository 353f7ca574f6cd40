"""The profiles of a bridge's trusts: each is read once, and has to fit its trust."""

import pytest

from shared.config import BridgeConfig
from shared.errors import ConfigurationError
from shared.profiles import load_profiles


def test_trusts_that_name_the_same_profile_share_it() -> None:
    trusts = BridgeConfig.model_validate(
        {"trusts": [{"vpd": "901"}, {"vpd": "902"}, {"vpd": "903", "profile": "esr-go-gdw"}]}
    ).trusts
    found = load_profiles(trusts)
    assert found["901"] is found["902"]
    assert found["901"] is not found["903"]
    assert [found[vpd].name for vpd in ("901", "903")] == ["esr-cstf", "esr-go-gdw"]


def test_a_shared_profile_has_to_fit_every_trust_that_names_it() -> None:
    trusts = BridgeConfig.model_validate({"trusts": [{"vpd": "901"}, {"vpd": "1234"}]}).trusts
    with pytest.raises(ConfigurationError, match="trust 1234"):
        load_profiles(trusts)
