"""Messages as a POST of JSON to an address of yours, signed: https://www.standardwebhooks.com.

Three headers come with the body. `webhook-id` is the same at every attempt of one message; who has seen it may answer
2xx and do nothing. `webhook-timestamp` is in Unix seconds. `webhook-signature` is `v1,` and, in base64, the HMAC-SHA256
of `<id>.<timestamp>.<body>` under the secret; a secret that begins with `whsec_` is base64 after that.
"""

import json
from datetime import UTC, datetime, timedelta

import httpx

from models.notification import Notification, WebhookTarget
from models.secrets import SecretUnavailableError
from models.standard_webhooks import ID, SIGNATURE, TIMESTAMP, VERSION, digest_of
from providers.errors import ProviderError
from providers.http_refusals import answered_within, is_for_later, wished_pause
from providers.roles import SecretResolver

_MOST_BYTES = 4_096
_MOST_SHOWN = 200
_LONGEST_WISH = timedelta(minutes=10)


class WebhookNotifier:
    """A Notifier. Any 2xx means that the message was taken; what is answered besides is not read."""

    def __init__(self, secrets: SecretResolver) -> None:
        self._secrets = secrets
        # Without `trust_env` a proxy of the environment would be asked for what is in this network.
        self._http = httpx.AsyncClient(trust_env=False, follow_redirects=False)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def notify(self, notification: Notification) -> None:
        target = notification.target.spec
        if not isinstance(target, WebhookTarget):
            raise ProviderError(f"{notification.target.name} is no webhook but {target.kind}.", retryable=False)
        body = _body(notification)
        headers = self._headers(notification, target, body)
        shown, seconds = target.url.partition("?")[0], target.timeout.total_seconds()
        async with (
            answered_within(target.timeout, shown),
            self._http.stream("POST", target.url, content=body, headers=headers, timeout=seconds) as response,
        ):
            if not response.is_success:
                raise await _refused(shown, response)

    def _headers(self, notification: Notification, target: WebhookTarget, body: bytes) -> dict[str, str]:
        timestamp = str(int(datetime.now(UTC).timestamp()))
        headers = {"content-type": "application/json", ID: notification.key, TIMESTAMP: timestamp}
        if not target.secret:
            return headers
        try:
            secret = self._secrets(target.secret).get_secret_value()
        except SecretUnavailableError as error:
            # Someone may set it while this waits, and what was to be told is still to be told.
            raise ProviderError(f"{notification.target.name} is not told: {error}", retryable=True) from error
        return {**headers, SIGNATURE: f"{VERSION}{digest_of(secret, notification.key, timestamp, body)}"}


def _body(notification: Notification) -> bytes:
    """Without the target: an address may hold what only its owner is to know."""
    data = notification.model_dump(mode="json", exclude={"target", "kind"})
    data["target"] = notification.target.name
    document = {"type": f"incident.{notification.kind}", "timestamp": data["due_at"], "data": data}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


async def _refused(shown: str, response: httpx.Response) -> ProviderError:
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) >= _MOST_BYTES:
            break
    later = is_for_later(response.status_code)
    said = " ".join(body[:_MOST_BYTES].decode(errors="replace").split())[:_MOST_SHOWN]
    advice = "It is tried again." if later else "Correct the address or the secret in the catalog, or the receiver."
    return ProviderError(
        f"{shown} answers {response.status_code}: {said!r}. {advice}",
        retryable=later,
        retry_after=wished_pause(response.headers.get("retry-after", ""), _LONGEST_WISH) if later else None,
    )
