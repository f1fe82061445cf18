"""How values become what Temporal stores, and back: pydantic models, encrypted where settings hold keys."""

from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, cast

from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    SerializationContext,
)
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from runtime.codec import EncryptionCodec, UnreadablePayloadError
from runtime.failures import BriefEncodedFailureConverter, BriefFailureConverter
from runtime.keyring import Keyring


def data_converter(keyring: Keyring) -> DataConverter:
    """With keys, messages and stack traces of failures are encrypted, too; otherwise they stand beside payloads."""
    failures = BriefEncodedFailureConverter if keyring.keys else BriefFailureConverter
    return _Converter(
        payload_converter_class=PydanticPayloadConverter,
        payload_codec=EncryptionCodec(keyring),
        failure_converter_class=failures,
    )


class WorkerLacksKeyError(BrokenExecutor):
    """An activity cannot be read here. The SDK stops a worker that raises a BrokenExecutor, and has the activity tried
    again: others then take the work instead of this worker using its attempts up.
    """


class UnreadableActivities(Interceptor):
    """Stops a worker that is given an activity which it lacks the key for."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - SDK's name
        return _RefuseUnreadable(next)


class _RefuseUnreadable(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - SDK's name
        for value in (*input.args, *activity.info().heartbeat_details):
            if isinstance(value, _Unreadable):
                raise WorkerLacksKeyError(value.why)
        return await super().execute_activity(input)


@dataclass(frozen=True)
class _Unreadable:
    why: str


class _Converter(DataConverter):
    def with_context(self, context: SerializationContext) -> Self:
        if isinstance(context, ActivitySerializationContext):
            return cast("Self", self._for_activities)
        return super().with_context(context)

    @cached_property
    def _for_activities(self) -> "_ActivityConverter":
        """One for all of them: the SDK asks three times for each payload, and making one takes as long as using it."""
        return _ActivityConverter(
            payload_converter_class=self.payload_converter_class,
            payload_codec=self.payload_codec,
            failure_converter_class=self.failure_converter_class,
        )


class _ActivityConverter(DataConverter):
    """Hands what cannot be decrypted on to `UnreadableActivities`. Raised here, it would end an activity for good when
    it is a heartbeat's, and use up one attempt after the other when it is an argument.
    """

    async def decode(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        try:
            return await super().decode(payloads, type_hints)
        except UnreadablePayloadError as error:
            return [_Unreadable(str(error))] * len(payloads)
