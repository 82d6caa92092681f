"""Hooks of the documentation site: the changelog is its last page."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = {"CHANGELOG.md": "changelog.md"}
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


_NOWHERE = "](nowhere)"
