"""What senders' words for how grave something is mean here."""

from models.severity import Severity

_WORDS = {
    Severity.SEV1: ("sev1", "sev-1", "p1", "critical", "fatal", "emergency", "disaster", "page"),
    Severity.SEV2: ("sev2", "sev-2", "p2", "high", "error", "major"),
    Severity.SEV3: ("sev3", "sev-3", "p3", "warning", "warn", "medium", "moderate", "minor", "average"),
    Severity.SEV4: (
        "sev4",
        "sev-4",
        "p4",
        "p5",
        "sev5",
        "sev-5",
        "info",
        "information",
        "informational",
        "low",
        "debug",
    ),
}
_KNOWN = {word: severity for severity, words in _WORDS.items() for word in words}


def severity_of(word: str) -> Severity | None:
    """None for a word that is not known; rules and routes then decide."""
    return _KNOWN.get(word.strip().lower())
