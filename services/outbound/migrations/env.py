from services.outbound.store import METADATA
from shared.db.migrate import run_environment

run_environment(METADATA)
