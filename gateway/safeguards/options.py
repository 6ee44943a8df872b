"""Options by which an ordinary program runs another, or writes a file that the option names.

The star of a rule that allows does not cover them: a rule for `git diff *` is about looking at differences,
and `--output` overwrites a file. A rule that names such an option itself allows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# long options of any program; getopt and git take each abbreviation of them too
_LONG: Final = (
    "--checkpoint-action", "--command", "--compress-program", "--config", "--config-env", "--eval",
    "--exec", "--exec-path", "--ext-diff", "--extcmd", "--file", "--git-dir", "--hostname-bin",
    "--in-place", "--info-script", "--init-file", "--interpreter", "--no-index", "--open-files-in-pager",
    "--output", "--pager", "--plugin", "--pre", "--rcfile", "--receive-pack", "--require", "--rsh",
    "--rsh-command", "--script-shell", "--shell", "--textconv", "--to-command", "--toolexec",
    "--makefile", "--directory", "--node-options", "--userconfig", "--template", "--junitxml", "--basetemp",
    "--dump-header", "--trace", "--remote-name", "--data-binary", "--import", "--upload-file",
    "--upload-pack", "--use-askpass", "--use-compress-program", "--work-tree",
)  # fmt: skip
# an abbreviation of fewer letters is that of too many options
_SHORTEST: Final = len("--ou")
# options of more than one letter after one dash, as find, go and java have them
_SINGLE_DASH: Final = (
    "-agent", "-delete", "-exec", "-fls", "-fprint", "-javaagent", "-ok", "-toolexec", "-vettool",
)  # fmt: skip
# what else runs something without being an option: git's transport by a command
_WORDS: Final = ("ext::",)
# letters of one-letter options, by program; a group of letters counts if it has one of them
_LETTERS: Final[Mapping[str, str]] = {
    "curl": "oOKTFdDc",
    "fd": "xX",
    "git": "cCoOxu",
    "make": "fCIE",
    "man": "PHl",
    "node": "rep",
    "npm": "Ccx",
    "pytest": "pco",
    "rsync": "e",
    "sed": "ie",
    "sort": "oT",
    "ssh": "oFEW",
    "tar": "IFfCx",
    "wget": "oOaie",
    # programs whose options only say what is shown
    **dict.fromkeys(
        ("cat", "cut", "df", "du", "echo", "grep", "head", "ls", "stat", "tail", "wc", "which"), ""
    ),
}
_OF_OTHERS: Final = "ceox"


def reaches_further(program: str, word: str) -> bool:
    """Whether a word after the name of a program may run another program or write a file.

    `program` is the first word of the command, with or without a folder. Errs on the side of True.
    """
    if word.startswith(_WORDS):
        return True
    name, assigns, _ = word.partition("=")
    if assigns and name.removeprefix(".").isidentifier() and name.isupper():
        # a variable of make, which may be its shell
        return True
    if not word.startswith("-") or len(word) < 2:
        return False
    if word.startswith("--"):
        name = word.partition("=")[0].lower()
        short = len(name) >= _SHORTEST
        return any(name.startswith(one) or (short and one.startswith(name)) for one in _LONG)
    if word.startswith(_SINGLE_DASH):
        return True
    letters = _LETTERS.get(program.rpartition("/")[2])
    if letters is None:
        # no table of its own: only how the word begins, since `-version` may be one option
        return word[1] in _OF_OTHERS
    return any(letter in letters for letter in word[1:])
