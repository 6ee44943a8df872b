"""Routes for tests of health and choices, without a database."""

from gateway.conversion.profile import Profile
from gateway.errors import UpstreamRejected, UpstreamUnreachable
from gateway.routing.resolve import Route
from gateway.routing.snapshot import Credential, MappingRule, ProviderConfig, Target


def route(slug="a", model="m", *, credentials=(1,), **provider) -> Route:
    config = ProviderConfig(
        slug=slug,
        name=slug,
        base_url=f"http://{slug}/v1",
        credentials=tuple(
            c if isinstance(c, Credential) else Credential(c, f"c{c}", "secret") for c in credentials
        ),
        **provider,
    )
    rule = MappingRule(1, "*", False, (Target(slug, model),))
    return Route(rule, config, model, Profile())


def credential_of(route: Route) -> Credential | None:
    return route.provider.credentials[0] if route.provider.credentials else None


def unreachable(retry_after=None):
    error = UpstreamUnreachable("could not connect")
    error.retry_after = retry_after
    return error


def rejected(status, retry_after=None):
    error = UpstreamRejected("no", status=status, retry_after=retry_after)
    error.upstream_status = status
    return error
