import socket
from dataclasses import replace
from datetime import timedelta

import httpx
import psutil
import pytest

from examples.shop.pages import Shop
from examples.shop.versions import BEHAVIOURS, Behaviour, behaviour_of
from tests.examples.programs import PATIENCE_SECONDS, address_of, running, shop


@pytest.mark.parametrize("path", ["/", "/checkout", "/healthz", "/readyz"])
def test_a_healthy_version_answers_every_page_with_its_version(path: str) -> None:
    with shop("v1") as it:
        response = httpx.get(it.url + path)
    assert response.status_code == 200
    assert response.json()["version"] == "v1"


def test_v2_has_something_to_show_that_v1_has_not() -> None:
    with shop("v1") as old, shop("v2") as new:
        assert "recommended" not in httpx.get(old.url).json()
        assert httpx.get(new.url).json()["recommended"] == "lantern"


def test_an_unknown_version_is_healthy() -> None:
    assert behaviour_of("2026.11.1") == Behaviour()


async def test_v3_fails_every_fifth_customer_and_stays_ready() -> None:
    page = Shop("v3", behaviour_of("v3"))
    statuses = [(await page.answer("/")).status for _ in range(2000)]
    assert 0.17 < statuses.count(500) / 2000 < 0.23
    assert (await page.answer("/readyz")).status == 200


async def test_the_same_customers_meet_an_error_in_every_run() -> None:
    first, second = (Shop("v3", behaviour_of("v3")) for _ in range(2))
    assert [(await first.answer("/")).status for _ in range(50)] == [
        (await second.answer("/")).status for _ in range(50)
    ]


def test_v4_is_slow_for_customers_and_not_for_probes() -> None:
    with shop("v4") as it:
        assert httpx.get(it.url).elapsed >= timedelta(milliseconds=400)
        probes = [httpx.get(it.url + "/readyz").elapsed for _ in range(5)]
    # The quickest of them: a busy machine may delay any one.
    assert min(probes) < timedelta(milliseconds=400)


def test_v5_says_why_it_cannot_start() -> None:
    with running("-m", "examples.shop.server", "--port", "0", "--version", "v5") as program:
        _, said = program.communicate(timeout=PATIENCE_SECONDS)
    assert program.returncode == 1
    assert said.splitlines()[-1].endswith("shop v5 cannot start: the setting payment.url is missing")


def test_v6_crashes_after_half_a_minute() -> None:
    assert behaviour_of("v6").crashes_after == timedelta(seconds=30)
    with running("-c", shop_that_is("crashes_after=timedelta(seconds=2)")) as program:
        url = address_of(program)
        assert httpx.get(url).status_code == 200
        _, said = program.communicate(timeout=PATIENCE_SECONDS)
    assert program.returncode == 1
    assert "fatal" in said


def test_v7_leaks_memory_with_every_request_up_to_a_limit() -> None:
    with shop("v7") as it, httpx.Client() as client:
        process = psutil.Process(it.program.pid)
        client.get(it.url)
        before = process.memory_info().rss
        for _ in range(32):
            client.get(it.url)
        after_some = process.memory_info().rss
        for _ in range(300):
            client.get(it.url)
        in_the_end = process.memory_info().rss
    assert after_some - before > 30 * 2**20
    assert in_the_end - before < 300 * 2**20


def test_v8_lives_and_is_never_ready() -> None:
    with shop("v8") as it:
        assert httpx.get(it.url + "/healthz").status_code == 200
        assert httpx.get(it.url + "/readyz").status_code == 503


async def test_v10_fails_every_fifth_customer_until_it_is_warm() -> None:
    def of(cold: timedelta) -> Shop:
        return Shop("v10", replace(behaviour_of("v10"), cold=cold))

    cold, warm = of(timedelta(hours=1)), of(timedelta(0))

    assert 0 < [(await cold.answer("/")).status for _ in range(100)].count(500) < 50
    assert {(await warm.answer("/")).status for _ in range(100)} == {200}


def test_the_table_tells_what_is_wrong_with_each_version() -> None:
    assert len({behaviour.summary for behaviour in BEHAVIOURS.values()}) == len(BEHAVIOURS) == 11


def test_many_requests_share_a_connection() -> None:
    with shop() as it, httpx.Client() as client:
        connections = {client.get(it.url).extensions["network_stream"].get_extra_info("client_addr") for _ in range(5)}
        assert client.post(it.url + "/checkout", content=b"x" * 1000).json()["order"] == 1
        assert client.post(it.url + "/checkout").json()["order"] == 2
        assert client.head(it.url).content == b""
        assert client.get(it.url + "/nowhere").status_code == 404
    assert len(connections) == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\ncontent-length: many\r\n\r\n",
        b"GET / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_and_the_shop_goes_on(sent: bytes) -> None:
    with shop() as it:
        url = httpx.URL(it.url)
        with socket.create_connection((url.host, url.port or 0), timeout=PATIENCE_SECONDS) as connection:
            connection.sendall(sent)
            assert connection.recv(12) == b"HTTP/1.1 400"
        assert httpx.get(it.url).status_code == 200


def test_it_finishes_requests_under_way_when_told_to_stop() -> None:
    with running("-c", shop_that_is("latency=timedelta(seconds=2)")) as program, httpx.Client() as idle:
        url = httpx.URL(address_of(program))
        customers = [socket.create_connection((url.host, url.port or 0), PATIENCE_SECONDS) for _ in range(8)]
        for customer in customers:
            customer.sendall(b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n")
        # What was sent before this probe has been read before it is answered; its own connection stays open.
        assert idle.get(url.join("/healthz")).status_code == 200
        program.terminate()
        answers = [read_all(customer) for customer in customers]
        assert program.wait(PATIENCE_SECONDS) == 0
    assert all(answer.startswith(b"HTTP/1.1 200 OK") and answer.endswith(b"}\n") for answer in answers)
    assert all(b"connection: close" in answer for answer in answers)
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def shop_that_is(fault: str) -> str:
    return (
        "import asyncio; from datetime import timedelta; from examples.shop import server, versions; "
        f"asyncio.run(server.run(0, 'test', versions.Behaviour({fault})))"
    )


def read_all(connection: socket.socket) -> bytes:
    with connection, connection.makefile("rb") as file:
        return file.read()


def test_a_taken_port_is_named() -> None:
    with shop() as it:
        port = str(httpx.URL(it.url).port)
        with running("-m", "examples.shop.server", "--port", port) as second:
            _, said = second.communicate(timeout=PATIENCE_SECONDS)
    assert second.returncode == 1
    assert said.startswith(f"shop v1 cannot listen on 127.0.0.1:{port}: ")
