"""What documentation shows: its blocks of code, and the files that these are."""

import re


def blocks(page: str, language: str) -> list[str]:
    """The blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def named(page: str, language: str) -> dict[str, str]:
    """The blocks that begin with a comment with the name of a file: name -> text."""
    found = {}
    for text in blocks(page, language):
        first = re.match(r"(?:#|//) ([\w.-]+\.\w+)\b", text)
        if first:
            found[first[1]] = text
    return found


def printed(text: str) -> list[str]:
    """What the comments behind a program's prints say that they print."""
    return re.findall(r"print\(.*# (.*)$", text, re.MULTILINE)
