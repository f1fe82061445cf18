from tests.providers.envoy_harness import envoy as envoy  # noqa: PLC0414 - for the tests of this folder
from tests.providers.envoy_harness import site as site  # noqa: PLC0414
