"""The manual page of a command in Tcl's man format, made from its page in docs/:
`python -m tools.release.manpage PAGE VERSION`.

The page is Markdown; markdown-it-py parses it. Chapters become sections with the names of Tcl's own pages,
and the paragraph below the title becomes the NAME section. An element of the page that this file does not
support is an error; it is not omitted.
"""

import re
import sys
from pathlib import Path

ESCAPES = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti", "…": "...",
           "–": "\\(en"}
INDENT = ".RS 2"


def escaped(text):
    return "".join(ESCAPES.get(character, character) for character in text)


def inline(tokens):
    """One paragraph's text. Only the text of links is kept: the files that they point to are not
    installed."""
    found = []
    for token in tokens:
        if token.type == "text":
            found.append(escaped(token.content))
        elif token.type == "code_inline":
            found.append(f"\\fB{escaped(token.content)}\\fR")
        elif token.type in ("strong_open", "em_open"):
            found.append("\\fB" if token.type == "strong_open" else "\\fI")
        elif token.type in ("strong_close", "em_close"):
            found.append("\\fR")
        elif token.type == "softbreak":
            found.append("\n")
        elif token.type not in ("link_open", "link_close"):
            raise ValueError(f"the manual page has no form for {token.type}")
    return protected("".join(found))


def protected(text):
    """Protect a line that begins with a dot, which would be a roff command."""
    return re.sub(r"(?m)^(?=[.'])", "\\\\&", text)


class Page:
    """The lines of a manual page, from the tokens of the Markdown."""

    def __init__(self, name, version):
        self.name = name
        self.lines = [f'.TH {name} n {version} iocpsock "iocpsock Package Commands"']
        self.named = False          # the NAME section is there
        self.chapter = None         # the level of a heading that is open
        self.cells: list | None = None      # of the table row that is open
        self.rows: list = []                # of the table that is open, or was

    def take(self, token):
        getattr(self, f"_{token.type}", self._other)(token)

    def _other(self, token):
        raise ValueError(f"the manual page has no form for {token.type}")

    def _nothing(self, token):
        pass

    _paragraph_close = _heading_close = _thead_open = _thead_close = _tbody_open = _tbody_close = _nothing
    _th_open = _th_close = _td_open = _td_close = _nothing

    def _heading_open(self, token):
        self.chapter = token.tag

    def _paragraph_open(self, token):
        if not self.lines[-1].startswith((".IP", ".SH NAME")):
            self.lines.append(".PP")

    def _inline(self, token):
        text = inline(token.children)
        if self.cells is not None:
            self.cells.append(text.replace("\n", " "))
        elif self.chapter == "h1":
            self.lines.append(".SH NAME")
        elif self.chapter:
            self.lines.append(f".{'SH' if self.chapter == 'h2' else 'SS'} "
                              f"{text.upper() if self.chapter == 'h2' else text}")
        elif not self.named:
            self.lines.append(f"{self.name} \\- {text[0].lower()}{text[1:].rstrip('.')}")
            self.named = True
        else:
            self.lines.append(text)
        self.chapter = None

    def _code_block(self, token):
        self.lines += [".PP", INDENT, ".nf", *(protected(escaped(line))
                                               for line in token.content.rstrip().split("\n")), ".fi", ".RE"]

    _fence = _code_block

    _bullet_list_open = _bullet_list_close = _list_item_close = _nothing

    def _list_item_open(self, token):
        self.lines.append(".IP \\(bu 3")

    def _table_open(self, token):
        self.rows = []

    def _tr_open(self, token):
        self.cells = []

    def _tr_close(self, token):
        self.rows.append(self.cells)
        self.cells = None

    def _table_close(self, token):
        """Each row is an entry: its first cell, and below it the others, each with the heading of its
        column."""
        head, *rows = self.rows
        for first, *others in rows:
            self.lines += [".TP", first]
            told = [f"{name}: {cell}" if name else cell[0].upper() + cell[1:]
                    for name, cell in zip(head[1:], others) if cell]
            self.lines.append(protected(". ".join(told) + "."))


def roff(markdown, name, version):
    """The manual page, as text."""
    from markdown_it import MarkdownIt
    page = Page(name, version)
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        page.take(token)
    return "\n".join(page.lines) + "\n"


if __name__ == "__main__":
    source, number = Path(sys.argv[1]), sys.argv[2]
    sys.stdout.write(roff(source.read_text(encoding="utf-8"), source.stem, number))
