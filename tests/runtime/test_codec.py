import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError

from runtime.codec import KEY_ID, EncryptionCodec, KeyMissingError, PayloadDamagedError
from runtime.converter import data_converter
from runtime.keyring import Key, Keyring

ONE, TWO = Key("k1", bytes(32)), Key("k2", bytes([1] * 32))
SECRET = Payload(metadata={"encoding": b"json/plain"}, data=b'"hunter2"')


def codec(*keys: Key) -> EncryptionCodec:
    return EncryptionCodec(Keyring(keys))


async def sealed(*keys: Key) -> Payload:
    (payload,) = await codec(*keys).encode([SECRET])
    return payload


@given(data=st.binary(), metadata=st.dictionaries(st.text(max_size=5), st.binary(max_size=5), max_size=3))
async def test_what_is_encrypted_comes_back_whole(data: bytes, metadata: dict[str, bytes]) -> None:
    payload = Payload(metadata={**metadata, "encoding": b"binary/plain"}, data=data)
    (encrypted,) = await codec(ONE).encode([payload])
    assert await codec(ONE).decode([encrypted]) == [payload]


async def test_nothing_of_it_is_readable_but_the_keys_id() -> None:
    payload = await sealed(ONE)
    assert b"hunter2" not in payload.SerializeToString()
    assert b"json/plain" not in payload.SerializeToString()
    assert dict(payload.metadata) == {"encoding": b"binary/encrypted", KEY_ID: b"k1"}


async def test_the_same_value_never_looks_the_same() -> None:
    assert (await sealed(ONE)).data != (await sealed(ONE)).data


async def test_the_first_key_encrypts_and_every_key_decrypts() -> None:
    old, new = await sealed(ONE), await sealed(TWO, ONE)
    assert new.metadata[KEY_ID] == b"k2"
    assert await codec(TWO, ONE).decode([old, new]) == [SECRET, SECRET]


async def test_what_was_never_encrypted_is_passed_on() -> None:
    assert await codec(ONE).decode([SECRET]) == [SECRET]


async def test_without_keys_nothing_is_encrypted() -> None:
    assert await codec().encode([SECRET]) == [SECRET]


async def test_a_missing_key_is_named_with_where_to_put_it() -> None:
    payload = await sealed(TWO)
    with pytest.raises(KeyMissingError) as missing:
        await codec(ONE).decode([payload])
    assert str(missing.value) == (
        "A payload is encrypted with key 'k2', and this process has k1. Add 'k2' to HOLDFAST_ENCRYPTION_KEYS, or to "
        "the file in HOLDFAST_ENCRYPTION_KEYS_FILE, where this process is started, and start it again."
    )
    with pytest.raises(KeyMissingError, match="this process has no keys at all"):
        await codec().decode([payload])


async def test_another_key_under_the_same_id_is_said() -> None:
    with pytest.raises(
        PayloadDamagedError, match=r"cannot be decrypted with key 'k1': either this process has another"
    ):
        await codec(Key("k1", bytes([7] * 32))).decode([await sealed(ONE)])


@pytest.mark.parametrize("at", [0, 11, 12, 20, -1])
async def test_a_changed_byte_is_noticed(at: int) -> None:
    payload = await sealed(ONE)
    data = bytearray(payload.data)
    data[at] ^= 1
    with pytest.raises(PayloadDamagedError):
        await codec(ONE).decode([Payload(metadata=payload.metadata, data=bytes(data))])


@pytest.mark.parametrize("length", [0, 5, 12, 27])
async def test_a_cut_payload_is_noticed(length: int) -> None:
    payload = await sealed(ONE)
    with pytest.raises(PayloadDamagedError):
        await codec(ONE).decode([Payload(metadata=payload.metadata, data=payload.data[:length])])


async def test_the_keys_id_is_bound_to_what_it_encrypted() -> None:
    """With one secret under two ids, only the id that was written opens the payload."""
    payload = await sealed(ONE)
    payload.metadata[KEY_ID] = b"alias"
    with pytest.raises(PayloadDamagedError):
        await codec(ONE, Key("alias", ONE.secret)).decode([payload])


async def failure_of(keyring: Keyring) -> Failure:
    failure = Failure()
    try:
        try:
            raise ValueError("hunter2 inside")  # noqa: TRY301 - a cause with a trace of its own
        except ValueError as cause:
            raise ApplicationError("hunter2 outside", {"detail": "hunter2"}) from cause
    except ApplicationError as error:
        await data_converter(keyring).encode_failure(error, failure)
    return failure


async def test_failures_are_encrypted_with_their_messages_traces_details_and_causes() -> None:
    assert b"hunter2" in (await failure_of(Keyring())).SerializeToString()
    failure = await failure_of(Keyring((ONE,)))
    assert b"hunter2" not in failure.SerializeToString()
    assert b"test_codec.py" not in failure.SerializeToString()

    error = await data_converter(Keyring((TWO, ONE))).decode_failure(failure)
    assert isinstance(error, ApplicationError)
    assert error.message == "hunter2 outside"
    assert error.details == ({"detail": "hunter2"},)
    assert "hunter2 inside" in str(error.__cause__)


async def test_failures_that_were_not_encrypted_are_read_with_keys() -> None:
    error = await data_converter(Keyring((ONE,))).decode_failure(await failure_of(Keyring()))
    assert "hunter2 outside" in str(error)
