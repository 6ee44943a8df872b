"""Helpers for admin pages."""

from django.urls import reverse


def url(record, page, *args):
    return reverse(f"admin:gateway_{record}_{page}", args=args)


def form_data(response, **changes):
    """What a browser would send back from the form of a page, with some fields changed."""
    data = {}
    for form in _forms(response):
        for name, field in form.fields.items():
            prepared = field.prepare_value(form[name].value())
            if prepared is not None and prepared is not False and not _secret(field):
                data[form.add_prefix(name)] = prepared
    data.update(changes)
    return {name: value for name, value in data.items() if value is not None}


def _forms(response):
    yield response.context["adminform"].form
    for inline in response.context["inline_admin_formsets"]:
        yield inline.formset.management_form
        yield from inline.formset.forms


def _secret(field):
    return getattr(field.widget, "input_type", "") == "password"


def errors(response):
    return response.context["adminform"].form.errors


def inline_errors(response):
    """What is wrong in the rows below the form."""
    return [inline.formset.errors for inline in response.context["inline_admin_formsets"]]
