"""Records for tests, made in one call."""

from gateway.models import ModelMapping, Provider


def make_provider(name="P", slug="p", *, credential="", credentials=(), **fields):
    """A stored provider with its credentials, in order."""
    provider = Provider(**{"name": name, "slug": slug, "base_url": "http://p/v1", **fields})
    provider.save()
    for value in (credential, *credentials):
        if value:
            # one that is sealed already says nothing of where it belongs
            provider.add_credential(value, value_origin=provider.destination("value"))
    return provider


def make_mapping(pattern, provider, upstream_model="", *, model_family="", **fields):
    """A stored mapping with one target."""
    mapping = ModelMapping.objects.create(pattern=pattern, **fields)
    mapping.lead_to(provider, upstream_model, model_family=model_family)
    return mapping
