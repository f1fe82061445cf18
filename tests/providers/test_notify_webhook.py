"""Messages to a receiver that really listens: signed, the same at every attempt, and told apart when refused."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import pytest_asyncio
from pydantic import SecretStr

from models.notification import ConsoleTarget, Notification, NotifyTarget, WebhookTarget
from models.secrets import SecretUnavailableError
from models.standard_webhooks import ID, SIGNATURE, TIMESTAMP
from providers.errors import ProviderError
from providers.notify_webhook import WebhookNotifier
from tests.records.test_incidents import a_message

SECRET = "${env:PAGER_SECRET}"


@dataclass
class Receiver:
    """Answers with `status`, and keeps what it was sent."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.got.append(({key.lower(): value for key, value in self.headers.items()}, body))
            time.sleep(receiver.delay)
            self.send_response(receiver.status)
            for key, value in receiver.headers.items():
                self.send_header(key, value)
            self.send_header("content-length", str(len(receiver.body)))
            self.end_headers()
            self.wfile.write(receiver.body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    receiver.url = f"http://127.0.0.1:{server.server_port}/pages?key=of-the-address"
    yield receiver
    server.shutdown()
    server.server_close()


@pytest_asyncio.fixture
async def notifier() -> AsyncIterator[WebhookNotifier]:
    def secrets(text: str) -> SecretStr:
        if text != SECRET:
            raise SecretUnavailableError("the environment variable OTHER is not set")
        return SecretStr("whsec_" + base64.b64encode(b"a secret of ours").decode())

    notifier = WebhookNotifier(secrets)
    yield notifier
    await notifier.aclose()


def to(url: str, *, secret: str = SECRET, timeout: timedelta = timedelta(seconds=5)) -> Notification:
    spec = WebhookTarget(kind="webhook", url=url, secret=secret, timeout=timeout)
    return a_message().model_copy(update={"target": NotifyTarget(name="pager", spec=spec)})


async def test_a_message_is_signed_as_its_receiver_computes_it(receiver: Receiver, notifier: WebhookNotifier) -> None:
    await notifier.notify(to(receiver.url))

    ((headers, body),) = receiver.got
    signed = f"{headers[ID]}.{headers[TIMESTAMP]}.".encode() + body
    expected = base64.b64encode(hmac.new(b"a secret of ours", signed, hashlib.sha256).digest()).decode()
    assert headers[SIGNATURE] == f"v1,{expected}"
    document = json.loads(body)
    assert document["type"] == "incident.page"
    assert document["data"]["title"] == "error rate is high"
    assert "of-the-address" not in body.decode()
    assert "PAGER_SECRET" not in body.decode()


async def test_every_attempt_has_the_same_id(receiver: Receiver, notifier: WebhookNotifier) -> None:
    for _ in range(3):
        await notifier.notify(to(receiver.url))

    assert {headers[ID] for headers, _ in receiver.got} == {a_message().key}


async def test_without_a_secret_it_is_not_signed(receiver: Receiver, notifier: WebhookNotifier) -> None:
    await notifier.notify(to(receiver.url, secret=""))

    assert SIGNATURE not in receiver.got[0][0]


@pytest.mark.parametrize(("status", "retryable"), [(500, True), (429, True), (404, False), (401, False), (302, False)])
async def test_a_refusal_says_whether_to_try_again(
    receiver: Receiver, notifier: WebhookNotifier, status: int, retryable: bool
) -> None:
    receiver.status, receiver.body, receiver.headers = status, b"no " * 10_000, {"retry-after": "7"}
    with pytest.raises(ProviderError, match=f"answers {status}: 'no no") as failure:
        await notifier.notify(to(receiver.url))

    assert failure.value.retryable is retryable
    assert failure.value.retry_after == (timedelta(seconds=7) if retryable else None)
    assert "of-the-address" not in str(failure.value)
    assert len(str(failure.value)) < 400


async def test_one_that_does_not_answer_is_given_up_in_time(receiver: Receiver, notifier: WebhookNotifier) -> None:
    receiver.delay = 2
    with pytest.raises(ProviderError, match=r"does not answer within 0.2s") as failure:
        await notifier.notify(to(receiver.url, timeout=timedelta(seconds=0.2)))

    assert failure.value.retryable


async def test_nobody_there_and_no_secret_are_tried_again(notifier: WebhookNotifier, receiver: Receiver) -> None:
    for message, said in (
        (to("http://127.0.0.1:9/"), "does not answer"),
        (to(receiver.url, secret="${env:OTHER}"), "OTHER is not set"),
    ):
        with pytest.raises(ProviderError, match=said) as failure:
            await notifier.notify(message)
        assert failure.value.retryable
    assert receiver.got == []


async def test_what_is_no_webhook_is_refused(notifier: WebhookNotifier) -> None:
    target = NotifyTarget(name="console", spec=ConsoleTarget())
    with pytest.raises(ProviderError, match="is no webhook but console"):
        await notifier.notify(a_message().model_copy(update={"target": target}))
