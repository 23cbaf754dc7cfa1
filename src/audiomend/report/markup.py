"""HTML from text that nobody has vouched for."""

import base64
import hashlib
import unicodedata
from html import escape

# Unicode categories of characters that print nothing or turn the direction of the line: a file name made of
# them would show as another one.
HIDDEN = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}


def text(value: str) -> str:
    """Any string as HTML text or attribute: markup escaped, hidden characters shown as U+FFFD."""
    return escape("".join("\ufffd" if unicodedata.category(c) in HIDDEN else c for c in value), quote=True)


def paragraph(value: str, name: str) -> str:
    """A paragraph of the given class, or nothing for an empty string."""
    return f'<p class="{name}">{text(value)}</p>' if value else ""


def percent(share: float) -> str:
    """0.25 to 25.000%."""
    return f"{100 * share:.3f}%"


def data_url(kind: str, content: bytes) -> str:
    """A file of the media type `kind`, written into the page itself."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def digest(source: str) -> str:
    """The hash by which a content security policy admits an inline script or style sheet."""
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"
