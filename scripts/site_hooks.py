"""Hooks of the documentation site: the changelog is its last page, and wide tables are labelled."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = {"CHANGELOG.md": "changelog.md"}
_TABLE = re.compile(r"<table>.*?</table>", re.DOTALL)
_HEADING = re.compile(r"<th[^>]*>(.*?)</th>", re.DOTALL)
_ROW = re.compile(r"<tr>.*?</tr>", re.DOTALL)
_CELL = re.compile(r"<td\b")
_TAG = re.compile(r"<[^>]+>")
# More columns than these do not fit the page of a telephone.
_FEW = 4
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
    """Give each cell of a table of many columns the name of its column, for narrow pages."""
    return _TABLE.sub(lambda table: _labelled(table[0]), html)


def _labelled(table: str) -> str:
    names = [_TAG.sub("", heading).replace('"', "&quot;") for heading in _HEADING.findall(table)]
    if len(names) <= _FEW:
        return table

    def row(cells: re.Match[str]) -> str:
        labels = iter(names)
        return _CELL.sub(lambda _: f'<td data-label="{next(labels)}"', cells[0])

    return _ROW.sub(row, table).replace("<table>", "<table data-labelled>", 1)


_NOWHERE = "](nowhere)"
