"""Times and sentences as they stand in a picture."""

import math

_UNITS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"))
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


def time_ticks(begins: float, ends: float) -> list[float]:
    """At most some ten, at times that people count in."""
    most = 10
    step: float = next((step for step in _STEPS if (ends - begins) / step <= most), 0.0)
    if not step:
        step = 86_400.0 * 10.0 ** math.ceil(math.log10((ends - begins) / 86_400.0 / most))
    first = math.ceil(begins / step)
    return [number * step for number in range(first, math.floor(ends / step) + 1)]


def time(seconds: float, span: float, *, round_to_unit: bool = False) -> str:
    """`6.1 s`, `3 min 20 s`, `2 h 5 min`; on an axis only as precise as its ticks are."""
    sign, seconds = ("-" if seconds < 0 else ""), abs(seconds)
    digits = 1 if not round_to_unit or span <= 5 else 0  # noqa: PLR2004 - seconds; up to there, ticks are half a second apart
    if round(seconds, digits) < 60:  # noqa: PLR2004 - a minute
        return f"{sign}{seconds:.{digits}f}".removesuffix(".0") + " s"
    rest = round(seconds)
    counts: list[tuple[int, str]] = []
    for length, unit in _UNITS:
        count, rest = divmod(rest, int(length))
        if count or counts:
            counts.append((count, unit))
    return sign + " ".join(f"{count} {unit}" for count, unit in counts[:2] if count)


def rows(text: str, width: int) -> list[str]:
    """Two at most, broken between words where that is possible."""
    if len(text) <= width:
        return [text] if text else []
    cut = text.rfind(" ", width // 2, width) + 1 or width
    return [text[:cut].rstrip(), short(text[cut:], width)]


def short(text: str, most: int) -> str:
    """On one line, without what cannot be drawn."""
    plain = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return plain if len(plain) <= most else f"{plain[: most - 1].rstrip()}…"
