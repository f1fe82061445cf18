"""How the `holdfast` command ends: exit codes for scripts, one sentence for people."""

from enum import IntEnum


class Exit(IntEnum):
    """OK: done as asked. NEGATIVE: the rollout was taken back, or a check found something wrong. BAD_INPUT: a mistake
    in what was written, on the command line or in the catalog. REFUSED: not possible now. UNREACHABLE: Temporal, a
    worker or another part of the platform does not answer. INTERRUPTED: Ctrl-C. UNREAD: who read the output has left,
    as in `holdfast status | head -1`; 141 is what a shell shows for a program that SIGPIPE ended.
    """

    OK = 0
    NEGATIVE = 1
    BAD_INPUT = 2
    REFUSED = 3
    UNREACHABLE = 4
    INTERRUPTED = 130
    UNREAD = 141


class CommandError(Exception):
    """Ends the command with this code, after this sentence, which says what to do next."""

    def __init__(self, sentence: str, code: Exit) -> None:
        super().__init__(sentence)
        self.code = code
