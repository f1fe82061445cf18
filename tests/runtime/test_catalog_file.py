import json
import os
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from models.catalog import CanaryPlan, Catalog, Service
from runtime.catalog_file import CatalogError, load_catalog
from runtime.yaml_document import MAX_BYTES

VALID = """\
version: 1
services:
  shop:
    deploy:
      command: [run, "{port}"]
    traffic:
      listen: 127.0.0.1:18080
    rollout:
      steps:
        - weight: 10%
          bake: 1m
"""

MISTAKEN = """\
version: 2
enviroment: prod
services:
  Shop:
    deploy:
      provider: proc
      command: [run, "{port}", 8080]
      instances: 0
      drain: 5
      env:
        API_TOKEN: hunter2
        GREETING: hello ${env:1X}
        SIZE: 5
    traffic:
      lisen: 127.0.0.1:80
    rollout:
      steps:
        - weight: 5
          bake: 10s
        - weight: 150%
      judge:
        rules:
          - metric: errors
            at_most: 5%
          - metric: latency_p95
            at_most: 5%
            latency_p95: 3
          - at_most: 0.05
  second:
"""


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "holdfast.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def lines_of(path: Path) -> list[str]:
    """What is wrong with a catalog, a line each, without the folder it lies in."""
    with pytest.raises(CatalogError) as caught:
        load_catalog(path)
    return str(caught.value).replace(f"{path.parent}{os.sep}", "").splitlines()


def line_of(folder: Path, content: str | bytes) -> str:
    (line,) = lines_of(written(folder, content))
    return line


def test_a_catalog_is_loaded_with_its_defaults(tmp_path: Path) -> None:
    catalog = load_catalog(written(tmp_path, VALID))
    assert catalog.environment == "local"
    assert catalog.services["shop"].deploy.instances == 1
    plan = catalog.services["shop"].rollout
    assert isinstance(plan, CanaryPlan)
    assert plan.steps[0].weight == 10.0


def test_every_mistake_is_named_at_once_where_it_stands(tmp_path: Path) -> None:
    metrics = "error_rate, latency_p50, latency_p90, latency_p95, latency_p99 or query"
    text = "text; put what YAML takes for something else in quotes"
    names = "lower-case letters, digits and hyphens, beginning with a letter"
    duration = "a duration like 90s, 15m or 1h30m"
    forms = "${env:NAME} or ${file:/path}"
    shop = "services.Shop"
    judge = f"{shop}.rollout.judge"
    keys, parts = ", ".join(Service.model_fields), ", ".join(Catalog.model_fields)
    assert lines_of(written(tmp_path, MISTAKEN)) == [
        "holdfast.yaml:1: version: found 2, allowed: 1",
        f"holdfast.yaml:2: enviroment: unknown key, did you mean environment? Allowed: {parts}",
        f'holdfast.yaml:4: {shop}: found "Shop", allowed: {names}',
        f'holdfast.yaml:6: {shop}.deploy.provider: found "proc", allowed: process',
        f"holdfast.yaml:7: {shop}.deploy.command[2]: found 8080, allowed: {text}",
        f"holdfast.yaml:8: {shop}.deploy.instances: found 0, allowed: a whole number from 1 to 100",
        f"holdfast.yaml:9: {shop}.deploy.drain: found 5, allowed: {duration}",
        f"holdfast.yaml:11: {shop}.deploy.env.API_TOKEN: secrets never stand in the catalog; write {forms}",
        f"holdfast.yaml:12: {shop}.deploy.env.GREETING: ${{env:1X}} is not a reference; write {forms}",
        f"holdfast.yaml:13: {shop}.deploy.env.SIZE: found a number, allowed: {text}",
        f"holdfast.yaml:15: {shop}.traffic.lisen: unknown key, did you mean listen? Allowed: provider, listen, timeout",
        f"holdfast.yaml:18: {shop}.rollout.steps[0].weight: found 5, allowed: a percentage like 5%",
        f'holdfast.yaml:20: {shop}.rollout.steps[1].weight: found "150%", allowed: 0% to 100%',
        f"holdfast.yaml:20: {shop}.rollout.steps[1].bake: missing, allowed: {duration}",
        f'holdfast.yaml:23: {judge}.rules[0].metric: found "errors", allowed: {metrics}',
        f'holdfast.yaml:26: {judge}.rules[1].at_most: found "5%", allowed: {duration}',
        f"holdfast.yaml:27: {judge}.rules[1].latency_p95: unknown key, allowed: metric, at_most",
        f"holdfast.yaml:28: {judge}.rules[2].metric: missing, allowed: {metrics}",
        f"holdfast.yaml:29: services.second: found nothing, allowed: a block with the keys {keys}",
    ]


GUARDED = (
    VALID
    + """\
    guard:
      cooldown: 90
      restarts: {limit: -1, windw: 1h}
freezes:
  - name: weekend
    every: fri 16 – mon 8
    zone: Europe/Bonn
  - name: holidays
    from: 2026-12-24 16:00
    until: 2026-12-23 08:00:00
  - {name: holidays, every: fri 16:00 – mon 08:00, services: [shop, shpo]}
"""
)


def test_mistakes_in_what_guards_go_by_are_named_too(tmp_path: Path) -> None:
    guard = "services.shop.guard"
    assert lines_of(written(tmp_path, GUARDED)) == [
        f"holdfast.yaml:13: {guard}.cooldown: found 90, allowed: a duration like 90s, 15m or 1h30m",
        f"holdfast.yaml:14: {guard}.restarts.limit: found -1, allowed: a whole number from 0 to 100",
        f"holdfast.yaml:14: {guard}.restarts.windw: unknown key, did you mean window? Allowed: limit, window",
        'holdfast.yaml:17: freezes[0].every: found "fri 16 – mon 8", allowed: a weekly span like fri 16:00 – mon 08:00',
        'holdfast.yaml:18: freezes[0].zone: found "Europe/Bonn", allowed: a time zone like Europe/Berlin or UTC',
        "holdfast.yaml:21: freezes[1].until: it ends at 2026-12-23 08:00, before it begins at 2026-12-24 16:00",
    ]


def test_a_freeze_concerns_services_that_there_are_and_has_a_name_of_its_own(tmp_path: Path) -> None:
    weekly = "{name: weekend, every: fri 16:00 – mon 08:00, services: [shop, shpo]}"
    assert line_of(tmp_path, f"{VALID}freezes: [{weekly}]") == (
        "holdfast.yaml:12: freezes[0].services[1]: there is no service shpo; the catalog has shop"
    )
    same = weekly.replace(", shpo", "")
    assert line_of(tmp_path, f"{VALID}freezes: [{same}, {same}]") == (
        "holdfast.yaml:12: freezes[1].name: two freezes are named weekend"
    )


MEASURED = """\
version: 1
services:
  shop:
    deploy: {command: [run, "{port}"]}
    traffic: {listen: 127.0.0.1:1}
    metrics:
      provider: prometheus
      url: localhost:9090
      requests: 'sum(n{version="{{verison}}"})'
      errors: sum(n{code="500"}
      latency: 5
      latency_unit: minutes
      timeout: 1h
      token: hunter2
    rollout:
      strategy: blue-green
      bake: 1m
      judge:
        rules:
          - {metric: query, name: queue, query: n}
          - {metric: query, name: Queue, query: '{{what}}', at_most: 5%, failure_limit: -1}
  other:
    deploy: {command: [run, "{port}"]}
    traffic: {listen: 127.0.0.1:2}
    metrics:
      provider: http
      url: http://ada:hunter3@127.0.0.1/{{version}}
      requests: answered.
      errors: fialed(a)
      latency_bounds: le
      token: 12345
    rollout: {strategy: blue-green, bake: 1m}
  third:
    deploy: {command: [run, "{port}"]}
    traffic: {listen: 127.0.0.1:3}
    metrics: {provider: datadog}
    rollout: {strategy: blue-green, bake: 1m}
"""


@pytest.mark.parametrize(
    ("noise", "mistakes"),
    [
        (
            "{own: .inf, burst: -1, rate: 1, minutes: many}",
            [
                "own: is no value that can be used; put it in quotes if it is text",
                "burst: found -1, allowed: a number, 0 or more",
                "rate: found 1, allowed: a percentage like 5%",
                'minutes: found "many", allowed: a number',
            ],
        ),
        (
            "{own: 1, rate: 1%, minute: 5}",
            ["minute: unknown key, did you mean minutes? Allowed: own, burst, spell, swing, bursts, rate, minutes"],
        ),
        ("{own: 1, rate: 0%, minutes: 5}", ['rate: found "0%", allowed: above 0%']),
        ("{own: 1, rate: 1%, minutes: 0}", ["minutes: found 0, allowed: a number above 0"]),
        ("{own: 1}", ["rate: missing, allowed: a percentage like 5%", "minutes: missing, allowed: a number"]),
        ("5", [": found 5, allowed: a block with the keys own, burst, spell, swing, bursts, rate, minutes"]),
    ],
)
def test_mistakes_in_noise_are_named_too(tmp_path: Path, noise: str, mistakes: list[str]) -> None:
    lines = lines_of(written(tmp_path, VALID + f"      judge: {{compare: {{noise: {noise}}}}}\n"))
    at = "services.shop.rollout.judge.compare.noise"

    assert [line.partition(at)[2].removeprefix(".") for line in lines] == mistakes


def test_a_label_that_prometheus_cannot_have_is_named(tmp_path: Path) -> None:
    metrics = "{provider: prometheus, url: 'http://127.0.0.1:9090', requests: up, errors: up, instance_label: my-pod}"
    line = line_of(tmp_path, VALID.replace("    traffic:", f"    metrics: {metrics}\n    traffic:"))

    allowed = "a label's name, like instance or pod"
    assert line.endswith(f'services.shop.metrics.instance_label: found "my-pod", allowed: {allowed}')


def test_mistakes_in_where_metrics_come_from_are_named_too(tmp_path: Path) -> None:
    shop, other = "services.shop.metrics", "services.other.metrics"
    rules = "services.shop.rollout.judge.rules"
    placeholders = "{{service}}, {{version}} and {{env}}"
    forms = "${env:NAME} or ${file:/path}"
    names = "lower-case letters, digits and hyphens, beginning with a letter"
    text = "text; put what YAML takes for something else in quotes"
    instead = "give a token instead, as a reference to a secret"
    ends = "Expecting: ['quoted_identifier', 'unquoted_identifier', 'lbracket', 'lbrace'], got: eof: Parse error"
    lines = lines_of(written(tmp_path, MEASURED))
    assert lines == [
        f'holdfast.yaml:8: {shop}.url: found "localhost:9090", allowed: an address like http://127.0.0.1:9090',
        f"holdfast.yaml:9: {shop}.requests: found {{{{verison}}}}, allowed: {placeholders}",
        f"holdfast.yaml:10: {shop}.errors: is not PromQL: nothing closes the (",
        f"holdfast.yaml:11: {shop}.latency: found 5, allowed: {text}",
        f'holdfast.yaml:12: {shop}.latency_unit: found "minutes", allowed: seconds or milliseconds',
        f'holdfast.yaml:13: {shop}.timeout: found "1h", allowed: 100ms to 30s',
        f"holdfast.yaml:14: {shop}.token: secrets never stand in the catalog; write {forms}",
        f"holdfast.yaml:20: {rules}[0]: a query needs at_most, at_least or both to be held against",
        f'holdfast.yaml:21: {rules}[1].name: found "Queue", allowed: {names}',
        f"holdfast.yaml:21: {rules}[1].query: found {{{{what}}}}, allowed: {placeholders}",
        f'holdfast.yaml:21: {rules}[1].at_most: found "5%", allowed: a number',
        f"holdfast.yaml:21: {rules}[1].failure_limit: found -1, allowed: a whole number, 0 or more",
        f"holdfast.yaml:27: {other}.url: holds a user's name or password; {instead}",
        f'holdfast.yaml:28: {other}.requests: is not JMESPath: {ends} at column 9, token "" (EOF)',
        f"holdfast.yaml:29: {other}.errors: is not JMESPath: there is no function fialed",
        f"holdfast.yaml:31: {other}.token: found a number, allowed: {text}",
        'holdfast.yaml:36: services.third.metrics.provider: found "datadog", allowed: envoy, http or prometheus',
    ]
    assert not any("hunter" in line or "12345" in line for line in lines)


PROMETHEUS = "{provider: prometheus, url: 'http://a:9090', requests: n, errors: e}"
HTTP = "{provider: http, url: 'http://a/', requests: n, errors: e}"


@pytest.mark.parametrize(
    ("metrics", "rules", "said"),
    [
        ("{provider: envoy}", "{metric: query, name: a, query: n, at_most: 1}", "rules[0].metric: Envoy has no query"),
        (PROMETHEUS, "{metric: query, name: a, query: 'sum(n', at_most: 1}", "rules[0].query: is not PromQL: nothing"),
        (HTTP, "{metric: query, name: a, query: 'sum(n', at_most: 1}", "rules[0].query: is not JMESPath"),
        (HTTP, "{metric: query, name: a, query: 'v.{{version}}', at_most: 1}", "rules[0].query: {{version}} stands"),
        (HTTP, "{metric: query, name: a, query: n, at_most: 1, at_least: 2}", "rules[0]: no number is at least 2 and"),
        (
            HTTP,
            "{metric: query, name: a, query: n, at_most: 1}, {metric: query, name: a, query: m, at_least: 2}",
            "rules[1].name: two queries are named a",
        ),
        (
            "{provider: http, url: 'http://a/', requests: n, errors: e, latency_bounds: le}",
            "{metric: error_rate, at_most: 5%}",
            "metrics.latency_bounds: latency_bounds is of no use without latency_counts",
        ),
        (
            "{provider: http, url: 'http://a/', requests: n, errors: e, latency_counts: c}",
            "{metric: error_rate, at_most: 5%}",
            "metrics.latency_counts: latency_counts is of no use without latency_bounds",
        ),
        (
            "{url: 'http://a/'}",
            "{metric: error_rate, at_most: 5%}",
            "metrics.provider: missing, allowed: envoy, http or",
        ),
        (
            f"{PROMETHEUS[:-1]}, token: '${{vault:a}}'}}",
            "{metric: error_rate, at_most: 5%}",
            "metrics.token: ${vault:a} is not a reference",
        ),
    ],
)
def test_queries_are_in_the_language_of_where_metrics_come_from(
    tmp_path: Path, metrics: str, rules: str, said: str
) -> None:
    content = (
        VALID.replace("    traffic:", f"    metrics: {metrics}\n    traffic:") + f"      judge: {{rules: [{rules}]}}\n"
    )
    assert said in line_of(tmp_path, content)


@pytest.mark.parametrize("rules", ["", ", rules: [{metric: query, name: a, query: n, at_most: 1}]"])
@pytest.mark.parametrize("metrics", [PROMETHEUS, HTTP, f"{HTTP[:-1]}, token: '${{env:A}}', timeout: 1s}}"])
def test_metrics_from_elsewhere_are_read(tmp_path: Path, metrics: str, rules: str) -> None:
    content = VALID.replace("    traffic:", f"    metrics: {metrics}\n    traffic:")
    service = load_catalog(written(tmp_path, f"{content}      judge: {{tick: 2s{rules}}}\n")).services["shop"]
    assert service.metrics.provider in metrics
    assert len(service.rollout.judge.rules) == 1


METRICS_PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("block", re.findall(r"^```yaml\n(.*?)^```$", METRICS_PAGE, re.MULTILINE | re.DOTALL))
def test_what_the_page_on_metrics_shows_has_no_mistakes(tmp_path: Path, block: str) -> None:
    shown = YAML(typ="safe").load(block)["services"]["shop"]
    service = YAML(typ="safe").load(VALID)["services"]["shop"]
    judge = shown.get("rollout", {}).get("judge", {})
    whole = {**service, "metrics": shown["metrics"], "rollout": {**service["rollout"], "judge": judge}}
    catalog = load_catalog(written(tmp_path, json.dumps({"version": 1, "services": {"shop": whole}})))
    assert catalog.services["shop"].metrics.provider == shown["metrics"]["provider"]


TWO_SERVICES = """\
version: 1
services:
  shop: &shop
    deploy: {command: [run, "{port}"]}
    traffic: {listen: 127.0.0.1:1}
    rollout: {bake: 1m, strategy: blue-green}
  other: {<<: *shop, traffic: {listen: 127.0.0.1:2}}
freezes:
  - {name: weekend, every: fri 16:00 – mon 08:00}
  - {name: holidays, from: 2026-12-24 16:00, until: 2026-12-27 08:00, services: [shop]}
"""


def test_a_service_knows_the_freezes_that_concern_it(tmp_path: Path) -> None:
    catalog = load_catalog(written(tmp_path, TWO_SERVICES))
    assert [freeze.name for freeze in catalog.guard_rules("shop").freezes] == ["weekend", "holidays"]
    assert [freeze.name for freeze in catalog.guard_rules("other").freezes] == ["weekend"]


def test_problems_say_the_same_to_programs(tmp_path: Path) -> None:
    with pytest.raises(CatalogError) as caught:
        load_catalog(written(tmp_path, VALID.replace("10%", "5")))
    (problem,) = caught.value.problems
    assert (problem.line, problem.column, problem.key) == (10, 11, "services.shop.rollout.steps[0].weight")
    assert (problem.found, problem.allowed) == ("5", "a percentage like 5%")


@pytest.mark.parametrize("value", ["hunter2", "12345", "[hunter2]", "{a: hunter2}", "true"])
def test_what_looks_like_a_secret_is_never_repeated(tmp_path: Path, value: str) -> None:
    content = VALID.replace("    traffic:", f"      env:\n        TOKEN: {value}\n    traffic:")
    line = line_of(tmp_path, content)
    assert line.startswith("holdfast.yaml:7: services.shop.deploy.env.TOKEN: ")
    assert "hunter2" not in line
    assert "12345" not in line


@pytest.mark.parametrize("value", ["${env:TOKEN}", "Bearer ${file:/run/secrets/token}", ""])
def test_a_secret_may_be_referred_to_or_left_empty(tmp_path: Path, value: str) -> None:
    content = VALID.replace("    traffic:", f"      env: {{TOKEN: '{value}'}}\n    traffic:")
    assert load_catalog(written(tmp_path, content)).services["shop"].deploy.env == {"TOKEN": value}


def test_a_reference_where_none_is_followed_is_a_mistake(tmp_path: Path) -> None:
    line = line_of(tmp_path, VALID.replace("[run,", "[run, '${env:TOKEN}',"))
    assert line.startswith(
        "holdfast.yaml:5: services.shop.deploy.command[1]: secrets are looked up under env, in the token"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holdfast.yaml:1: is empty; a catalog has the keys version, environment, services"),
        ("# nothing yet\n", "holdfast.yaml:1: is empty; a catalog has the keys version, environment, services"),
        ("- a\n", "holdfast.yaml:1: found a list; a catalog is a block with the keys"),
        ("just text\n", "holdfast.yaml:1: found a single value; a catalog is a block with the keys"),
        ("version: 1\nservices:\n\tshop: {}\n", "holdfast.yaml:3: a tab stands where YAML wants spaces"),
        ("version: 1\nservices: [\n", "holdfast.yaml:3: is not YAML: "),
        ("version: 1\nservices: a: b\n", "holdfast.yaml:2: a colon stands where none may be"),
        ("version: 1\n---\nversion: 1\n", "holdfast.yaml:2: a second document begins here"),
        ("version: *one\n", "holdfast.yaml:1: is not YAML: found undefined alias"),
        (b"version: 1\nname: \xff\n", "holdfast.yaml:2: is not UTF-8 text"),
        (b"version: 1\nname: a\x00\n", "holdfast.yaml:2: holds the character U+0000, which YAML forbids"),
        ('version: "\\UFFFFFFFF"\n', "holdfast.yaml: is not YAML: "),
        ("[" * 5000, "holdfast.yaml: is nested more than 40 levels deep"),
        ("&a [*a]\n", "holdfast.yaml:1: [0]"),
        (b" " * (MAX_BYTES + 1), "holdfast.yaml: is larger than 1024 KiB"),
    ],
)
def test_what_is_no_catalog_at_all_is_said_in_one_sentence(tmp_path: Path, content: str | bytes, said: str) -> None:
    assert line_of(tmp_path, content).startswith(said)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("version: 1", "version: 1\nversion: 1", "2: version: stands twice, first on line 1; keep one"),
        ("version: 1", "version: 1\n[a]: 1", "2: a key must be text"),
        ("1m", '"\\uD800"', "11: services.shop.rollout.steps[0].bake: holds half of a surrogate pair"),
        ("[run,", "[run, !secret x,", "5: services.shop.deploy.command[1]: the tag !secret has no meaning here"),
        ("bake: 1m", "bake: .nan", "11: services.shop.rollout.steps[0].bake: is no value that can be used"),
        ("bake: 1m", "bake: 9" + "9" * 6000, "11: services.shop.rollout.steps[0].bake: is no value that can be used"),
        ("services:", "<<: 1\nservices:", "2: << merges in blocks of keys"),
    ],
)
def test_mistakes_of_writing_are_named_where_they_stand(tmp_path: Path, before: str, after: str, said: str) -> None:
    assert lines_of(written(tmp_path, VALID.replace(before, after, 1)))[0].startswith(f"holdfast.yaml:{said}")


def test_a_key_that_stands_twice_does_not_hide_other_mistakes(tmp_path: Path) -> None:
    lines = lines_of(written(tmp_path, VALID.replace("version: 1", "version: 2\nversion: 1")))
    assert [line.split(":")[1] for line in lines] == ["1", "2"]


def test_an_alias_bomb_is_refused(tmp_path: Path) -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 10)]
    lines = lines_of(written(tmp_path, "l0: &l0 x\n" + "\n".join(levels)))
    assert "holds more than 50000 values, counting each use of an alias" in lines[0]


def test_services_may_share_what_they_have_in_common(tmp_path: Path) -> None:
    second = '  second:\n    <<: *shop\n    traffic: {listen: "127.0.0.1:18081"}\n'
    catalog = load_catalog(written(tmp_path, VALID.replace("  shop:", "  shop: &shop") + second))
    assert catalog.services["second"].deploy == catalog.services["shop"].deploy
    assert catalog.services["second"].traffic.listen == "127.0.0.1:18081"


def test_services_that_listen_on_one_address_are_told_apart(tmp_path: Path) -> None:
    second = VALID.split("services:\n")[1].replace("shop:", "second:")
    assert line_of(tmp_path, VALID + second) == (
        "holdfast.yaml:16: services.second.traffic.listen: services shop and second both listen on 127.0.0.1:18080; "
        "give each an address of its own"
    )


def test_weights_that_fall_are_named_at_the_step_that_falls(tmp_path: Path) -> None:
    line = line_of(tmp_path, VALID + "        - {weight: 5%, bake: 1m}\n")
    assert line.startswith("holdfast.yaml:12: services.shop.rollout.steps[1].weight: weights must rise")


def test_only_the_misspelling_is_named_and_not_what_is_missing_for_it(tmp_path: Path) -> None:
    assert "did you mean bake?" in line_of(tmp_path, VALID.replace("bake:", "bakes:"))


def test_working_directories_are_seen_from_the_catalogs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deploy").mkdir()
    content = VALID.replace("    traffic:", "      working_directory: ../src\n    traffic:")
    written(tmp_path / "deploy", content)
    monkeypatch.chdir(tmp_path)
    catalog = load_catalog(Path("deploy/holdfast.yaml"))
    assert catalog.services["shop"].deploy.working_directory == str((tmp_path / "src").resolve())


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    assert lines_of(tmp_path / "holdfast.yaml") == [
        "holdfast.yaml: there is no such file; write one as docs/catalog.md shows, or name another with --catalog"
    ]


def test_a_folder_is_no_catalog(tmp_path: Path) -> None:
    (tmp_path / "holdfast.yaml").mkdir()
    assert "is a folder" in lines_of(tmp_path / "holdfast.yaml")[0]


def test_a_file_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    loop = tmp_path / "holdfast.yaml"
    loop.symlink_to(loop)
    assert "cannot be read: Too many levels of symbolic links" in lines_of(loop)[0]


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + VALID.replace("\n", "\r\n").encode()
    assert list(load_catalog(written(tmp_path, content)).services) == ["shop"]
