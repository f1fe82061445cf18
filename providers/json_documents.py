"""GET of JSON documents from what belongs to other people: bounded in size and in time, whatever answers."""

import json
from datetime import timedelta

import httpx
from pydantic import JsonValue

from models.secrets import SecretUnavailableError
from providers.errors import ProviderError
from providers.http_refusals import MOST_DIGITS, answered_within, is_for_later, wished_pause
from providers.roles import SecretResolver

MOST_BYTES = 4 * 1024 * 1024

_LONGEST_WISH = timedelta(hours=1)
_MOST_SHOWN = 200


class Answer:
    """What came back, and from where, as people are told: without what stands after `?`, which may be long."""

    def __init__(self, source: str, response: httpx.Response, body: bytes) -> None:
        self.source = source
        self.status = response.status_code
        self.is_success = response.is_success
        self._retry_after = response.headers.get("retry-after", "")
        self._body = body

    def document(self) -> JsonValue:
        """Raises ProviderError for what is not JSON."""
        try:
            document: JsonValue = json.loads(self._body, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise ProviderError(
                f"What {self.source} answers is not JSON: it begins with {self._beginning()}. Check the address.",
                retryable=True,
            ) from error
        return document

    def refused(self) -> ProviderError:
        """Why an answer that is no success is of no use."""
        advice = "Check the address and whether it wants a token."
        if self.status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            advice = "Check the token that the catalog names for these metrics."
        later = is_for_later(self.status)
        if later:
            advice = "It is asked again later."
        # Who asks to be left alone for ages is left alone for as long as can be.
        wish = wished_pause(self._retry_after[:MOST_DIGITS], _LONGEST_WISH)
        return ProviderError(
            f"{self.source} answers {self.status}: {self._beginning()}. {advice}",
            retryable=later,
            retry_after=wish if later else None,
        )

    def _beginning(self) -> str:
        text = " ".join(self._body[: 4 * _MOST_SHOWN].decode(errors="replace").split())
        return repr(text[:_MOST_SHOWN]) if text else "nothing"


class JsonDocuments:
    """One client for all addresses of one kind of source."""

    def __init__(self, secrets: SecretResolver) -> None:
        self._secrets = secrets
        # Without `trust_env` a proxy of the environment would be asked for what is in this network.
        self._http = httpx.AsyncClient(trust_env=False)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def get(
        self, url: str, *, within: timedelta, token: str | None, query: dict[str, str] | None = None
    ) -> Answer:
        """Whatever is answered in time, success or not. Raises ProviderError."""
        source = url.partition("?")[0]
        secret = None if token is None else self._looked_up(source, token)
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        headers |= {"authorization": f"Bearer {secret}"} if secret else {}
        seconds = within.total_seconds()
        async with (
            answered_within(within, source, ", or give it more time with `timeout`"),
            self._http.stream("GET", url, params=query, headers=headers, timeout=seconds) as response,
        ):
            body = await _body(source, response)
            # What answers may show what it was sent; people are told what it answers.
            return Answer(source, response, body.replace(secret.encode(), b"[the token]") if secret else body)

    def _looked_up(self, source: str, token: str) -> str:
        try:
            secret = self._secrets(token).get_secret_value()
        except SecretUnavailableError as error:
            raise ProviderError(f"{source} is not asked: {error}", retryable=False) from error
        if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
            raise ProviderError(
                f"{source} is not asked, as its token is empty or holds what no token may: spaces, line ends, "
                f"letters that are not ASCII. Correct what {token} leads to.",
                retryable=False,
            )
        return secret


async def _body(source: str, response: httpx.Response) -> bytes:
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        # Unpacked, a small answer may be as large as it likes.
        raise ProviderError(f"{source} answers packed, though asked not to; have it not do so.", retryable=False)
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MOST_BYTES:
            raise ProviderError(
                f"{source} answers with more than {MOST_BYTES // 1024 // 1024} MiB; have it say less.", retryable=False
            )
    return bytes(body)


def _refuse(constant: str) -> JsonValue:
    raise ValueError(f"{constant} is not JSON")
