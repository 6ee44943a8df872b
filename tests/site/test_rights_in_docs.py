"""docs/security.md has the rights of the groups that an installation begins with, as the code gives them."""

from pathlib import Path

from django.apps import apps

from gateway.config.startup.groups import RIGHTS

PAGE = Path(__file__).parents[2] / "docs/security.md"
ACTIONS = {"view": "see", "add": "add", "change": "change", "delete": "delete"}


def table() -> str:
    """The matrix of the page: a line for each kind of record that somebody may have rights over."""
    lines = ["| | " + " | ".join(RIGHTS) + " |", "|---|" + "---|" * len(RIGHTS)]
    for app in ("gateway", "auth", "admin"):
        for model in sorted(apps.get_app_config(app).get_models(), key=lambda one: one.__name__):
            name = model._meta.model_name
            given = [
                [word for action, word in ACTIONS.items()
                 if action in model._meta.default_permissions and wanted(app, f"{action}_{name}")]
                for wanted in RIGHTS.values()
            ]  # fmt: skip
            if any(given):
                cells = ["all" if len(words) == len(ACTIONS) else ", ".join(words) or "–" for words in given]
                lines.append(f"| `{model.__name__}` | " + " | ".join(cells) + " |")
            for codename, title in model._meta.permissions:
                cells = ["yes" if wanted(app, codename) else "–" for wanted in RIGHTS.values()]
                lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def test_the_page_has_the_rights_that_the_groups_get():
    assert table() in PAGE.read_text("utf-8")


def test_the_tests_that_the_page_names_are_there():
    root = PAGE.parents[1]
    named = [word for word in PAGE.read_text("utf-8").split("`") if word.startswith("tests/")]
    assert len(named) > 20
    assert [path for path in named if not (root / path).exists()] == []
