"""What the terminal shows: our own sentences, and each child's lines behind its name."""

from rich.console import Console
from rich.text import Text

_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_cyan", "bright_magenta", "bright_green")


class TerminalConsole(Console):
    """A console whose reader may leave: `holdfast up | head` goes on in silence, instead of ending a stack."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


class Voice:
    """Colours are rich's: none where the output is no terminal or NO_COLOR is set."""

    def __init__(self, console: Console, name_width: int = 15) -> None:
        self._console = console
        self._width = name_width
        self._colours: dict[str, str] = {}

    def say(self, sentence: str) -> None:
        """A sentence of the stack itself."""
        self.line("up", sentence, style="bold")

    def line(self, name: str, line: str, style: str = "") -> None:
        colour = self._colours.setdefault(name, _COLOURS[len(self._colours) % len(_COLOURS)])
        prefix = Text(f"{name:<{self._width}} │ ", style=colour)
        # A child's line stands as it came: neither its brackets nor its width mean anything to us.
        self.show(prefix + Text(line, style=style))

    def show(self, text: Text | str) -> None:
        try:
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)
        except OSError:
            self._console.quiet = True  # the terminal is gone; what runs must still be stopped in order
