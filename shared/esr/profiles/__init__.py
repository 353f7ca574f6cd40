"""The profiles that come with the product, one YAML file each; see ``shared.esr.profile.load_profile``."""
