"""Hooks of the documentation site: the changelog is its last page, and wide tables are labelled."""

from __future__ import annotations

import re
from html import escape, unescape
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = {"CHANGELOG.md": "changelog.md"}
_TABLE = re.compile(r"<table>.*?</table>", re.DOTALL)
_HEADING = re.compile(r"<th[^>]*>(.*?)</th>", re.DOTALL)
_ROW = re.compile(r"<tr>.*?</tr>", re.DOTALL)
_CELL = re.compile(r"<td[^>]*>(.*?)</td>", re.DOTALL)
_CODE = re.compile(r"<code>\w+</code>")
_TAG = re.compile(r"<[^>]+>")
# What fits the page of a telephone: letters in a line, with what the space around a cell takes.
_LINE, _AROUND = 56, 2
_LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are no files of the folder `docs`."""
    for name, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / name).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links that are right in the repository into links that are right in the site.

    What is not part of the site keeps its text only; the checkout has it.
    """
    source = ROOT if page.file.src_uri in PAGES.values() else Path(config.docs_dir)

    def rewritten(link: re.Match[str]) -> str:
        target, anchor = link[1], link[2] or ""
        if not target:
            return link[0]
        path = (source / target).resolve()
        if not path.exists():
            return link[0]  # for the strict build to fail on
        if path.is_relative_to(config.docs_dir) and not path.is_dir():
            return f"]({path.relative_to(config.docs_dir)}{anchor})"
        page_of_site = PAGES.get(str(path.relative_to(ROOT)))
        return f"]({page_of_site}{anchor})" if page_of_site else _NOWHERE

    text = _LINK.sub(rewritten, markdown)
    return re.sub(rf"!?\[([^\]]*){re.escape(_NOWHERE)}", r"\1", text)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Give each cell of a wide table the name of its column, for the style of narrow pages."""
    return _TABLE.sub(lambda table: _labelled(_CODE.sub(_breakable, table[0])), html)


def _breakable(code: re.Match[str]) -> str:
    """Let a browser break a long name where a reader would."""
    return code[0].replace("_", "_<wbr>")


def _labelled(table: str) -> str:
    names = [unescape(_TAG.sub("", name)) for name in _HEADING.findall(table)]
    rows = [[_TAG.sub("", cell) for cell in _CELL.findall(row[0])] for row in _ROW.finditer(table)]
    columns = zip(names, *filter(None, rows), strict=True)
    words = [max(map(len, " ".join(column).split()), default=0) for column in columns]
    # The first column has the longest texts, and the most ways to break them.
    if (
        sum(min(longest, 9) for longest in words[:1]) + sum(words[1:]) + _AROUND * len(words)
        <= _LINE
    ):
        return table

    def row(cells: re.Match[str]) -> str:
        labels = (escape(name) for name in names)
        return re.sub(r"<td\b", lambda _: f'<td data-label="{next(labels)}"', cells[0])

    return _ROW.sub(row, table).replace("<table>", "<table data-labelled>", 1)


_NOWHERE = "](nowhere)"
