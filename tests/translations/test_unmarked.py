"""Whatever a person reads is marked for translation: the sources are looked through for what is not."""

from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.utils.translation import override

from gateway.admin.oversight.people import permission_words
from tests.translations.test_catalogues import HAN
from tests.translations.unmarked import in_python, in_template

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted((ROOT / "gateway").rglob("*.html"))
# the rest speaks to clients and to machines, in English
FOR_PEOPLE = (
    "gateway/admin", "gateway/history", "gateway/config", "gateway/limits", "gateway/management",
    "gateway/models", "gateway/security", "gateway/templatetags", "ccproxy_site",
)  # fmt: skip
PYTHON = sorted(path for folder in FOR_PEOPLE for path in (ROOT / folder).rglob("*.py"))
# names, headers and examples, which are the same in every language
ALLOWED = {
    "claude-opus-5-5[1m]", "Authorization: Bearer", "SearXNG", "Brave Search", "Tavily", "OPENAI_API_KEY",
    "↓ CSV", "↓ JSONL",
}  # fmt: skip


def found(paths, scan):
    return [
        (str(path.relative_to(ROOT)), line, said)
        for path in paths
        for line, said in scan(path.read_text())
        if said not in ALLOWED
    ]


def test_templates_say_nothing_that_is_not_marked():
    assert len(TEMPLATES) > 30
    assert found(TEMPLATES, in_template) == []


def test_python_shows_nothing_that_is_not_marked():
    assert len(PYTHON) > 140
    assert found(PYTHON, in_python) == []


def test_what_is_allowed_stands_somewhere():
    said = {said for path in TEMPLATES for _line, said in in_template(path.read_text())}
    said |= {said for path in PYTHON for _line, said in in_python(path.read_text())}
    assert ALLOWED - said == set()


@pytest.mark.parametrize(
    "template",
    [
        "<p>Nothing here</p>",
        "{% if more %} or more{% endif %}",
        '<a title="Go on" href="/">→</a>',
        '<input placeholder="Filter {{ what }}">',
        "{% translate 'Time' %} passed",
        "{% block bodyclass %}login{% endblock %}{% block content %}passed{% endblock %}",
        "<p>{% blocktranslate %}One{% endblocktranslate %} and two</p>",
    ],
)
def test_unmarked_words_of_a_template_are_found(template):
    assert len(in_template(template)) == 1


@pytest.mark.parametrize(
    "template",
    [
        "<p>{% translate 'Nothing here' %}</p>",
        "{% blocktranslate with n=1 %}{{ n }} of <b>many</b>{% endblocktranslate %}",
        '<a title="{% translate "Go on" %}">→ {{ name }}</a>',
        "{# a note #}{% comment %}another{% endcomment %}<code>export NAME=1</code><script>let one;</script>",
        "{% block bodyclass %}{{ block.super }}bg-base-50 login{% endblock %}{{ title }} | {{ site }}",
        '<span class="material-symbols-outlined">arrow_forward</span> &rsaquo; 50 %',
    ],
)
def test_marked_words_code_and_icons_of_a_template_are_not(template):
    assert in_template(template) == []


@pytest.mark.parametrize(
    "code",
    [
        'name = models.CharField("the name", max_length=1)',
        'name = models.CharField(_("the name"), help_text="Choose well.")',
        'column.short_description = "first byte"',
        "class Meta:\n    verbose_name_plural = 'request bodies'",
        '@admin.display(description="key")\ndef key(self, row): ...',
        'messages.success(request, "Saved.")',
        'messages.warning(request, f"{name} was not saved.")',
        'self.message_user(request, "Saved %s." % name)',
        'form.add_error("name", "Enter a name.")',
        'raise ValidationError("Enter a " + what)',
        'raise CommandError("Name {} is taken".format(name))',
        'self.stdout.write("All is well." if well else _("Look again."))',
        'badge("none", "warn")',
        'badge(_("none"), "warn", "Nothing leads here.")',
        "class State(models.TextChoices):\n    OPEN = 'open', 'still open'",
        """format_html('<a title="{}">Documentation</a>', url)""",
        '(None, {"fields": (), "description": "Empty: no limit."})',
    ],
)
def test_unmarked_words_of_python_are_found(code):
    assert len(in_python(code)) == 1


@pytest.mark.parametrize(
    "code",
    [
        'name = models.CharField(_("the name"), max_length=1, default="plain words")',
        'messages.success(request, _("%(name)s was saved.") % {"name": name})',
        'raise CommandError(ngettext("%d row", "%d rows", count) % count)',
        'badge(_("none"), "warn", _("Nothing leads here."))',
        'self.stdout.write("")',
        'self.stdout.write(f"{name}: {value}")',
        "class State(models.TextChoices):\n    OPEN = 'open', _('still open')",
        """format_html('<code class="gw-code">{}</code> · {}', name, words)""",
        'logger.warning("live tail not told", extra={"rows": 1})',
    ],
)
def test_marked_words_and_those_for_machines_are_not(code):
    assert in_python(code) == []


@pytest.mark.django_db
def test_permissions_are_said_in_the_language_of_the_reader():
    ours = Permission.objects.filter(content_type__app_label="gateway").select_related("content_type")
    assert len(ours) > 50
    with override("zh-hans"):
        assert [words for one in ours if not HAN.search(words := permission_words(one))] == []
    assert permission_words(ours.get(codename="change_provider")) == "Providers: change"
    assert permission_words(ours.get(codename="read_content")) == "Can read the content of requests"


@pytest.mark.django_db
def test_no_rights_are_offered_over_records_that_no_page_has():
    offered = set(Permission.objects.values_list("content_type__model", flat=True))
    internal = {model._meta.model_name for model in apps.get_app_config("gateway").get_models()
                if not model._meta.default_permissions}  # fmt: skip
    assert {"contentblob", "limitcounter"} <= internal
    assert offered & internal == set()
