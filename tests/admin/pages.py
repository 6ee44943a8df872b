"""Helpers for admin pages."""

from django.urls import reverse


def url(record, page, *args):
    return reverse(f"admin:gateway_{record}_{page}", args=args)


def form_data(response, **changes):
    """What a browser would send back from the form of a page, with some fields changed."""
    form = response.context["adminform"].form
    data = {}
    for name, field in form.fields.items():
        value = form[name].value()
        prepared = field.prepare_value(value)
        if prepared is not None and prepared is not False and not _secret(field):
            data[name] = prepared
        elif prepared is False:
            continue
    data.update(changes)
    return {name: value for name, value in data.items() if value is not None}


def _secret(field):
    return getattr(field.widget, "input_type", "") == "password"


def errors(response):
    return response.context["adminform"].form.errors
