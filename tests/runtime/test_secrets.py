from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.secrets import SecretUnavailableError, names_a_secret
from runtime.secrets import resolve_secrets


def test_an_environment_variable_is_filled_in() -> None:
    secret = resolve_secrets("Bearer ${env:TOKEN}!", {"TOKEN": "hunter2"})
    assert secret.get_secret_value() == "Bearer hunter2!"
    assert "hunter2" not in f"{secret!r} {secret}"


@pytest.mark.parametrize(("content", "secret"), [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a", "a"), ("", "")])
def test_a_file_is_filled_in_without_its_last_newline(tmp_path: Path, content: str, secret: str) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content.encode())
    assert resolve_secrets(f"${{file:{file}}}", {}).get_secret_value() == secret


def test_several_references_are_filled_in(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("pw\n")
    text = f"postgres://${{env:USER}}:${{file:{tmp_path / 'p'}}}@db"
    assert resolve_secrets(text, {"USER": "shop"}).get_secret_value() == "postgres://shop:pw@db"


def test_what_is_filled_in_is_not_looked_into() -> None:
    assert resolve_secrets("${env:A}", {"A": "${env:B}", "B": "x"}).get_secret_value() == "${env:B}"


def test_an_empty_variable_is_set() -> None:
    assert resolve_secrets("${env:A}", {"A": ""}).get_secret_value() == ""


@given(st.text().filter(lambda text: "${" not in text))
def test_text_without_references_stays_as_it_is(text: str) -> None:
    assert resolve_secrets(text, {}).get_secret_value() == text


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(SecretUnavailableError, match=r"environment variable TOKEN.* is not set"):
        resolve_secrets("hunter2 ${env:OTHER} ${env:TOKEN}", {"OTHER": "hunter3"})


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SecretUnavailableError, match=r"/gone, .* cannot be read .*No such file"):
        resolve_secrets(f"${{file:{tmp_path}/gone}}", {})
    with pytest.raises(SecretUnavailableError, match="Is a directory"):
        resolve_secrets(f"${{file:{tmp_path}}}", {})


def test_a_file_that_is_no_text_is_named_and_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"hunter2\xff")
    with pytest.raises(SecretUnavailableError, match="does not hold UTF-8") as caught:
        resolve_secrets(f"${{file:{file}}}", {})
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "text", ["${TOKEN}", "${env:}", "${env:1A}", "${file:relative}", "${vault:a}", "${", "${env:A"]
)
def test_a_malformed_reference_is_refused_without_showing_what_is_around_it(text: str) -> None:
    with pytest.raises(SecretUnavailableError, match="is not a reference") as caught:
        resolve_secrets(f"hunter2 {text} ", {"A": "hunter3"})
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize(
    "key", ["PASSWORD", "PGPASSWORD", "DB_PASSWORD", "API_TOKEN", "client_secret", "APIKEY", "TOKENS"]
)
def test_names_of_secrets_are_recognised(key: str) -> None:
    assert names_a_secret(key)


@pytest.mark.parametrize(
    "key", ["PATH", "TOKENIZERS_PARALLELISM", "POSTGRES_PASSWORD_FILE", "SECRET_PATH", "SECRETARY"]
)
def test_other_names_are_not_taken_for_secrets(key: str) -> None:
    assert not names_a_secret(key)
