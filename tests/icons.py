"""The icons that pages show, as a font of their own: `python -m tests.icons` writes it.

The theme's font has thousands of icons in 290 KB, and the pages show a few of them. Whatever stands in a
template or a module like the name of an icon is kept, so the font has more than are shown.
This needs fonttools and brotli, and nothing else does.
"""

from __future__ import annotations

import re
from pathlib import Path

import unfold
from fontTools import subset
from fontTools.ttLib import TTFont

ROOT = Path(__file__).parent.parent
FONT = ROOT / "gateway/static/gateway/icons.woff2"
THEME = Path(unfold.__file__).parent
WHOLE = THEME / "static/unfold/fonts/material-symbols/Material-Symbols-Outlined.woff2"
# between quotation marks or tags, or alone on a line
_NAMES = re.compile(r"""(?:["'>]\s*|^\s*)([a-z][a-z0-9_]{2,40})(?=\s*["'<]|\s*$)""", re.MULTILINE)
# what a stylesheet puts before or behind an element
_DRAWN = re.compile(r"""content:\s*["']([a-z][a-z0-9_]{2,40})["']""")


def icons(font: Path) -> dict[str, str]:
    """The glyph of each icon of a font, by its name."""
    found = {}
    with TTFont(font) as opened:
        letters = {glyph: chr(code) for code, glyph in opened.getBestCmap().items()}
        for lookup in opened["GSUB"].table.LookupList.Lookup:
            for table in lookup.SubTable:
                table = getattr(table, "ExtSubTable", table)
                for first, ligatures in getattr(table, "ligatures", {}).items():
                    for one in ligatures:
                        name = "".join(letters.get(glyph, "?") for glyph in (first, *one.Component))
                        found[name] = one.LigGlyph
    return found


def shown() -> set[str]:
    """Names of icons that stand in our sources or the theme's."""
    files = [
        path
        for folder in (THEME, ROOT / "gateway", ROOT / "ccproxy_site")
        for path in folder.rglob("*")
        if path.suffix in (".html", ".py") or path.name == "app.js"
    ]
    words = {word for path in files for word in _NAMES.findall(path.read_text())}
    for sheet in (*THEME.rglob("*.css"), *(ROOT / "gateway").rglob("*.css")):
        words.update(_DRAWN.findall(sheet.read_text()))
    return words & icons(WHOLE).keys()


def write() -> None:
    """Write the font with the icons that are shown."""
    known = icons(WHOLE)
    options = subset.Options(flavor="woff2", layout_features=["*"], layout_closure=False, notdef_outline=True)
    cut = subset.Subsetter(options)
    letters = "abcdefghijklmnopqrstuvwxyz0123456789_ "
    cut.populate(text=letters, glyphs=[known[name] for name in shown()])
    with subset.load_font(str(WHOLE), options) as font:
        cut.subset(font)
        subset.save_font(font, str(FONT), options)


if __name__ == "__main__":
    write()
