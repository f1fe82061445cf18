from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from models.catalog import Catalog
from runtime.catalog_file import CatalogError, load_catalog

KEYS = sorted(
    {key for model in (Catalog,) for key in model.model_fields} | {"shop", "deploy", "env", "<<", "[key]", "1"}
)
yaml_like = st.lists(
    st.sampled_from(
        [
            *KEYS,
            ": ",
            "\n",
            "  ",
            "- ",
            "&a ",
            "*a",
            "!!int ",
            "!x ",
            "{",
            "}",
            "[",
            "]",
            ",",
            '"',
            "'",
            "\\U",
            "|\n",
            ">",
            "%YAML ",
            "---\n",
            "...",
            "~",
            "1",
            "0x",
            ".inf",
            "2024-01-01",
            "?",
            "#",
            "\t",
            "\x85",
            "\u2028",
            "${env:A}",
            "5%",
            "!!binary ",
            "!!set ",
        ]
    )
    | st.text(max_size=3),
    max_size=40,
).map("".join)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200) | yaml_like.map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(content=b'"\\ud800": 1')
@example(content=b"!!python/object:os.system {}")
@example(content=b"%TAG ! tag:x,2000:\n---\n!a b")
@example(content=b"version: 1\nservices: {[key]: {}}")
@example(content=b"? {a: 1}\n: 2")
@example(content=b"<<: [{version: 1}, {services: {}}]")
def test_whatever_a_file_holds_a_catalog_or_its_problems_come_back(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "holdfast.yaml"
    path.write_bytes(content)
    try:
        load_catalog(path)
    except CatalogError as error:
        problems, text = error.problems, str(error)
    else:
        return
    assert problems
    assert all(problem.message in text for problem in problems)
