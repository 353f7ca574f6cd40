"""The profile of each trust, proved to fit it before anything is done."""

from collections.abc import Iterable

from shared.config import TrustConfig
from shared.errors import ConfigurationError
from shared.esr.contract import check_vpd
from shared.esr.profile import Profile, load_profile


def load_profiles(trusts: Iterable[TrustConfig]) -> dict[str, Profile]:
    """Return the profiles by VPD; trusts that name the same one share it.

    Raises ConfigurationError for a profile that is wrong or does not fit its trust.
    """
    profiles: dict[str, Profile] = {}
    loaded: dict[str, Profile] = {}
    for trust in trusts:
        profile = loaded.get(trust.profile) or load_profile(trust.profile)
        loaded[trust.profile] = profile
        try:
            check_vpd(profile, trust.vpd)
        except ConfigurationError as error:
            raise ConfigurationError(f"trust {trust.vpd}: {error.sentence}") from error
        profiles[trust.vpd] = profile
    return profiles
