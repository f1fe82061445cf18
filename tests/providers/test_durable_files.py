"""Files that are replaced as a whole."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from providers.durable_files import replace_durably


def test_of_two_that_write_at_once_one_prevails_whole(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    texts = ["short", "long" * 1000]

    def write(text: str) -> set[str]:
        found = set()
        for _ in range(100):
            replace_durably(path, text)
            found.add(path.read_text())
        return found

    with ThreadPoolExecutor(2) as both:
        seen = set().union(*both.map(write, texts))

    assert seen <= set(texts)
