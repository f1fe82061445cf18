from tests.workers.dev_server import temporal as temporal  # noqa: PLC0414 - re-exported for the tests of this folder
