from tests.own_settings import own_settings as own_settings  # noqa: PLC0414 - for all tests of this folder
from tests.workers.dev_server import temporal as temporal  # noqa: PLC0414 - re-exported for the tests of this folder
