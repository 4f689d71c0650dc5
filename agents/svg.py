"""Pictures as SVG that any browser shows: words, curves and axes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10
from typing import Final

_PLACES: Final = 5
_ROUND: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
Points = Iterable[tuple[float, float]]


def picture(parts: Iterable[str], *, width: int, height: int) -> str:
    """Return the file."""
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def text(
    x: float,
    y: float,
    words: str,
    *,
    size: int = 13,
    weight: str = "normal",
    colour: str = "#212529",
    anchor: str = "start",
) -> str:
    """Return words whose ``anchor`` (start, middle or end) is at ``x``."""
    style = f'font-size="{size}" font-weight="{weight}" fill="{colour}" text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(words)}</text>'


def rounded(most: float, places: int = _PLACES) -> float:
    """Return where an axis to ``most``, which is greater than 0, ends if each of its ``places`` has a round number."""
    magnitude = 10.0 ** floor(log10(most / places))
    return places * magnitude * next(each for each in _ROUND if each * magnitude * places >= most)


@dataclass(frozen=True)
class Frame:
    """A rectangle that shows x from 0 to ``most_x`` and y from 0 to ``most_y``.

    Attributes:
        left: Where it begins, in pixels, as are the next three.
        top: Likewise.
        width: How wide it is.
        height: How high it is.
        most_x: Greater than 0.
        most_y: Greater than 0.
    """

    left: int
    top: int
    width: int
    height: int
    most_x: float
    most_y: float

    @property
    def bottom(self) -> int:
        """Where y is 0."""
        return self.top + self.height

    def x(self, value: float) -> float:
        """Return where a value is; beyond the edge it is at the edge."""
        return self.left + self.width * min(value, self.most_x) / self.most_x

    def y(self, value: float) -> float:
        """Return where a value is."""
        return self.top + self.height * (1 - value / self.most_y)

    def line(self, points: Points) -> str:
        """Return a path through points; nothing without any."""
        places = [f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in points]
        return "M " + " L ".join(places) if places else ""

    def area(self, points: Sequence[tuple[float, float]]) -> str:
        """Return the path around what is below points."""
        if not points:
            return ""
        first, last = self.x(points[0][0]), self.x(points[-1][0])
        return f"{self.line(points)} L {last:.1f} {self.bottom} L {first:.1f} {self.bottom} Z"

    def curve(self, points: Points, colour: str) -> str:
        """Return a thin line."""
        return f'<path d="{self.line(points)}" fill="none" stroke="{colour}" stroke-width="1.3"/>'

    def upright(self, x: float, colour: str, *, title: str) -> str:
        """Return a line from top to bottom that says what it is."""
        at = self.x(x)
        return (
            f'<g><title>{escape(title)}</title><line x1="{at:.1f}" x2="{at:.1f}" y1="{self.top}" y2="{self.bottom}" '
            f'stroke="{colour}" stroke-width="1.2"/></g>'
        )

    def axes(self, *, unit: str, places_y: int = _PLACES) -> list[str]:
        """Return both axes with numbers, those of x followed by a unit."""
        right = self.left + self.width
        digits = 0 if self.most_x >= _PLACES else 1
        parts = [f'<path d="M {self.left} {self.top} V {self.bottom} H {right}" fill="none" stroke="#212529"/>']
        for place in range(_PLACES + 1):
            value = self.most_x * place / _PLACES
            parts.append(text(self.x(value), self.bottom + 16, f"{value:.{digits}f} {unit}", size=11, anchor="middle"))
        for place in range(places_y + 1):
            value = self.most_y * place / places_y
            parts.append(text(self.left - 8, self.y(value) + 4, f"{value:,.0f}", size=11, anchor="end"))
        return parts
