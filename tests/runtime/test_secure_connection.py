"""The connection to a Temporal that wants TLS, a certificate or an API key; every server here is a real one."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest

from models.quantities import HostPort
from runtime.client import TemporalUnreachableError, connect
from runtime.settings import Settings, SettingsError
from tests.runtime.certificates import DAY, Authority, Certified
from tests.runtime.guarded_temporal import guarded

Guarding = Callable[..., AbstractAsyncContextManager[HostPort]]


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


@pytest.fixture
def theirs(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "theirs")


@pytest.fixture
def guarding(temporal: HostPort, ours: Authority) -> Guarding:
    return partial(guarded, temporal, ours.sign("server"))


@pytest.fixture
async def tls(guarding: Guarding) -> AsyncIterator[HostPort]:
    async with guarding() as address:
        yield address


@pytest.fixture
async def mutual_tls(guarding: Guarding, ours: Authority) -> AsyncIterator[HostPort]:
    async with guarding(clients=ours.ca) as address:
        yield address


def settings(address: HostPort, ca: Authority | None, own: Certified | None = None, **more: object) -> Settings:
    values = {
        "temporal_address": address,
        "temporal_tls_ca": ca and ca.ca,
        "temporal_tls_cert": own and own.cert,
        "temporal_tls_key": own and own.key,
        **more,
    }
    return Settings.model_validate(values)


async def refusal(of: Settings) -> str:
    with pytest.raises(TemporalUnreachableError) as refused:
        await connect(of)
    return str(refused.value)


async def test_a_server_is_trusted_whose_certificate_the_named_authority_signed(tls: HostPort, ours: Authority) -> None:
    client = await connect(settings(tls, ours))
    assert not [workflow async for workflow in client.list_workflows("WorkflowId = 'nobody'")]


async def test_a_server_is_not_trusted_whose_certificate_another_signed(tls: HostPort, theirs: Authority) -> None:
    assert await refusal(settings(tls, theirs)) == (
        f"Temporal cannot be reached at {tls}: its certificate is not signed by the authority in {theirs.ca}. "
        "Set HOLDFAST_TEMPORAL_TLS_CA to a file with the certificate of the authority that signed it."
    )


async def test_without_an_authority_of_ours_the_systems_are_asked(tls: HostPort) -> None:
    said = await refusal(Settings(temporal_address=tls, temporal_tls=True))
    assert "its certificate is not signed by one this system trusts. Set HOLDFAST_TEMPORAL_TLS_CA" in said


async def test_a_certificate_for_another_name_is_refused_unless_that_name_is_given(
    temporal: HostPort, ours: Authority
) -> None:
    async with guarded(temporal, ours.sign("named", host="temporal.example")) as address:
        said = await refusal(settings(address, ours))
        assert "its certificate is for temporal.example. Set HOLDFAST_TEMPORAL_TLS_SERVER_NAME" in said
        await connect(settings(address, ours, temporal_tls_server_name="temporal.example"))


async def test_a_servers_expired_certificate_is_said(temporal: HostPort, ours: Authority) -> None:
    async with guarded(temporal, ours.sign("old", valid=-DAY)) as address:
        assert "its certificate has expired. Have it renewed there" in await refusal(settings(address, ours))


async def test_a_client_shows_its_certificate(mutual_tls: HostPort, ours: Authority) -> None:
    await connect(settings(mutual_tls, ours, ours.sign("worker", host="worker")))


async def test_a_client_without_certificate_is_told_that_one_may_be_wanted(
    mutual_tls: HostPort, ours: Authority
) -> None:
    said = await refusal(settings(mutual_tls, ours))
    assert "asks for a client's certificate. If it does, set HOLDFAST_TEMPORAL_TLS_CERT and" in said


async def test_a_certificate_that_the_server_does_not_accept_is_named(
    mutual_tls: HostPort, ours: Authority, theirs: Authority
) -> None:
    own = theirs.sign("stranger", host="stranger")
    assert f"does not accept our certificate {own.cert}. Check that" in await refusal(settings(mutual_tls, ours, own))


async def test_our_own_expired_certificate_is_named_with_its_day(mutual_tls: HostPort, ours: Authority) -> None:
    own = ours.sign("late", host="late", valid=-DAY)
    assert f"our certificate {own.cert} expired on 20" in await refusal(settings(mutual_tls, ours, own))


async def test_an_api_key_is_sent_and_a_wrong_one_is_said_without_showing_it(
    guarding: Guarding, ours: Authority
) -> None:
    async with guarding(api_key="hunter2") as address:
        await connect(settings(address, ours, temporal_api_key="hunter2"))
        said = await refusal(settings(address, ours, temporal_api_key="hunter3"))
        assert said == (
            f"Temporal at {address} rejects the API key in HOLDFAST_TEMPORAL_API_KEY. "
            "Check that it is whole, valid still, and made for this server."
        )
        assert "asks who we are. Set HOLDFAST_TEMPORAL_API_KEY" in await refusal(settings(address, ours))


async def test_a_key_that_may_not_use_the_namespace_is_said(guarding: Guarding, ours: Authority) -> None:
    async with guarding(forbidden=True) as address:
        said = await refusal(settings(address, ours, temporal_api_key="hunter2"))
    assert "does not let us use namespace 'default'. Have it allowed there for HOLDFAST_TEMPORAL_API_KEY" in said


async def test_an_api_key_is_never_sent_in_clear(temporal: HostPort) -> None:
    said = await refusal(Settings.model_validate({"temporal_address": temporal, "temporal_api_key": "hunter2"}))
    assert "it does not speak TLS. Unset HOLDFAST_TEMPORAL_TLS, HOLDFAST_TEMPORAL_API_KEY" in said
    with pytest.raises(SettingsError, match=r"TLS is off, and HOLDFAST_TEMPORAL_API_KEY need"):
        await connect(settings(temporal, None, temporal_tls=False, temporal_api_key="hunter2"))


async def test_a_client_without_tls_is_told_that_the_server_may_want_it(tls: HostPort) -> None:
    assert "as one does that wants TLS. If it does, set HOLDFAST_TEMPORAL_TLS=on." in await refusal(
        Settings(temporal_address=tls)
    )


@pytest.mark.parametrize("variable", ["temporal_tls_ca", "temporal_tls_cert", "temporal_tls_key"])
async def test_a_file_that_is_missing_or_no_certificate_is_named(
    variable: str, tmp_path: Path, ours: Authority
) -> None:
    own = ours.sign("worker", host="worker")
    path = tmp_path / "other.pem"
    for content, said in ((None, "cannot be read: No such file"), ("nothing", "in PEM form")):
        if content:
            path.write_text(content)
        with pytest.raises(SettingsError, match=rf"HOLDFAST_{variable.upper()} names the file {path}, .*{said}"):
            await connect(settings("127.0.0.1:1", ours, own, **{variable: path}))


async def test_a_certificate_without_its_key_is_refused(ours: Authority) -> None:
    own = ours.sign("worker", host="worker")
    with pytest.raises(SettingsError, match=r"TLS_CERT is set and HOLDFAST_TEMPORAL_TLS_KEY is not.*set both"):
        await connect(settings("127.0.0.1:1", ours, own, temporal_tls_key=None))
    with pytest.raises(SettingsError, match="TLS_KEY is set and HOLDFAST_TEMPORAL_TLS_CERT is not"):
        await connect(settings("127.0.0.1:1", ours, own, temporal_tls_cert=None))


async def test_the_key_of_another_certificate_is_refused(ours: Authority) -> None:
    one, other = ours.sign("one", host="one"), ours.sign("other", host="other")
    with pytest.raises(SettingsError, match=r"other\.key .* is not that of the certificate in .*one\.pem"):
        await connect(settings("127.0.0.1:1", ours, one, temporal_tls_key=other.key))
