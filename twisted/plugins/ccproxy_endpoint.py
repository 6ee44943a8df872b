"""Makes the endpoint `gateway:` known to Twisted, which looks for plugins in folders of this name."""

from ccproxy_site.server.endpoint import GatewayEndpointParser

gateway_endpoint = GatewayEndpointParser()
