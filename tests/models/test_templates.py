"""Placeholders in queries and addresses, and what is wrong with them."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.ids import ServiceRef
from models.mistakes import MistakeError
from models.templates import (
    ALLOWED,
    check_base_url,
    check_jmespath,
    check_promql,
    check_url,
    fill_jmespath,
    fill_promql,
    fill_url,
)

REF = ServiceRef(environment="prod", service="shop")


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ('n{s="{{service}}", v="{{ version }}", e="{{env}}"}', 'n{s="shop", v="1.0+a", e="prod"}'),
        ("n{v='{{version}}'}", "n{v='1.0+a'}"),
        ("n{v=`{{version}}`}", "n{v=`1.0+a`}"),
        ('n{v=~"{{version}}-.*"}', r'n{v=~"1\\.0\\+a-.*"}'),
        ("n{v !~ '{{version}}'}", r"n{v !~ '1\\.0\\+a'}"),
        ("n{v=~`{{version}}|{{service}}`}", r"n{v=~`1\.0\+a|shop`}"),
        ('n{a="\\"{{version}}"} # "{{version}}', 'n{a="\\"1.0+a"} # "{{version}}'),
        ("sum(n)", "sum(n)"),
    ],
)
def test_promql_is_filled_within_quotes_and_matches_the_version_only(template: str, filled: str) -> None:
    assert check_promql(template) == template
    assert fill_promql(template, REF, "1.0+a") == filled


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ('v."{{version}}".n', 'v."1.0+a".n'),
        ("v[?name=='{{version}}'].n | [0]", "v[?name=='1.0+a'].n | [0]"),
        ("a || `{{version}}`", "a || `1.0+a`"),
        ("{a: {b: c}}.a.b", "{a: {b: c}}.a.b"),
    ],
)
def test_jmespath_is_filled_within_quotes(template: str, filled: str) -> None:
    assert fill_jmespath(template, REF, "1.0+a") == filled


def test_an_address_is_filled_with_what_an_address_may_hold() -> None:
    assert fill_url("http://{{service}}.x/{{version}}?e={{env}}", REF, "1.0+a") == "http://shop.x/1.0%2Ba?e=prod"


@pytest.mark.parametrize("check", [check_promql, check_jmespath, check_url, check_base_url])
@pytest.mark.parametrize("text", ['"{{verison}}"', '"{{}}"', '"{{Version}}"', '"{{version"', '"{{a {{version}}"'])
def test_an_unknown_placeholder_is_named_with_those_there_are(check: Callable[[str], str], text: str) -> None:
    with pytest.raises(MistakeError) as mistake:
        check(text)

    assert mistake.value.found
    assert mistake.value.found.startswith("{{")
    assert mistake.value.allowed == ALLOWED


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("x" * 2001, "has 2001 characters; 2000 are the most"),
        ("sum(n{a='b'}", r"nothing closes the \("),
        ("sum(n])", r"nothing opens the \]"),
        ("n}", "nothing opens the }"),
        ('n{a="b}', 'nothing closes the quote "'),
        ("n{a=`b}", "nothing closes the quote `"),
        ("n{a={{version}}}", r'stands outside of quotes; write it like service="\{\{service\}\}"'),
    ],
)
def test_what_is_no_promql_is_said(text: str, said: str) -> None:
    with pytest.raises(MistakeError, match=said):
        check_promql(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("a.", "is not JMESPath: "),
        ("a b", "is not JMESPath: .*Unexpected token"),
        ("a[", "is not JMESPath: "),
        ("a.'b", "nothing closes the quote '"),
        ("summ(a)", "there is no function summ"),
        ("a[?nope(@)].b", "there is no function nope"),
        ("v.{{version}}", "stands outside of quotes"),
        ("(" * 1900, "nested too deeply|is not JMESPath"),
    ],
)
def test_what_is_no_jmespath_is_said(text: str, said: str) -> None:
    with pytest.raises(MistakeError, match=said):
        check_jmespath(text)


@pytest.mark.parametrize(
    "text",
    [
        "localhost:9090",
        "ftp://a/",
        "http://",
        "http:///x",
        "http://a:0/",
        "http://a:99999/",
        "http://[::1",
        "http://a b/",
    ],
)
def test_what_is_no_address_is_said(text: str) -> None:
    with pytest.raises(MistakeError, match="is not an address") as mistake:
        check_url(text)

    assert mistake.value.allowed == "an address like http://127.0.0.1:9090"


@pytest.mark.parametrize("text", ["http://ada:hunter2@a/", "http://ada@a/", "ftp://ada:hunter2@a b:x/"])
def test_a_password_in_an_address_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(MistakeError, match="give a token instead") as mistake:
        check_url(text)

    assert not mistake.value.allowed  # or what was found would be shown
    assert "hunter2" not in str(mistake.value)


@pytest.mark.parametrize("text", ["http://127.0.0.1:9090", "https://prometheus/prom/", "http://[::1]:9090"])
def test_addresses_are_taken(text: str) -> None:
    assert check_base_url(text) == text


@pytest.mark.parametrize("text", ["http://a/?x=1", "http://{{service}}/", "http://a/#b"])
def test_the_address_of_prometheus_is_one_for_all(text: str) -> None:
    with pytest.raises(MistakeError):
        check_base_url(text)


@given(st.text(st.sampled_from("{}service\"'`=~#()[]\\ \nv."), max_size=40))
def test_whatever_is_written_is_taken_or_refused(text: str) -> None:
    for check, fill in ((check_promql, fill_promql), (check_jmespath, fill_jmespath), (check_url, fill_url)):
        try:
            check(text)
        except MistakeError:
            continue
        assert isinstance(fill(text, REF, "1.0"), str)
