"""Runs Synapse with a resolver of the run's: the first word is the name server, the second the web server.

Synapse has no setting for either. Its resolvers are replaced before it starts, its code is left as it is:
SRV records come from the name server, hosts are looked up there too, and the port of `https` leads to the web
server, which could not be at 443 without rights.
"""

import runpy
import sys

from twisted.internet import reactor
from twisted.internet.abstract import isIPAddress
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IHostnameResolver, IHostResolution
from twisted.names import client
from zope.interface import implementer

HTTPS = 443


def socket_of(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


@implementer(IHostResolution)
class Resolution:
    """One look-up."""

    def __init__(self, name):
        self.name = name

    def cancel(self):
        """Nothing is waited for that would be worth it."""


@implementer(IHostnameResolver)
class Elsewhere:
    """Looks hosts up at the run's name server."""

    def __init__(self, names, web_server):
        self.names, self.web_server = names, web_server

    def resolveHostName(self, receiver, hostName, portNumber=0, *_, **__):  # noqa: N802, N803
        resolution = Resolution(hostName)
        receiver.resolutionBegan(resolution)

        def found(address):
            receiver.addressResolved(address)
            receiver.resolutionComplete()

        if isIPAddress(hostName):
            found(IPv4Address("TCP", hostName, portNumber))
        elif portNumber == HTTPS:
            found(IPv4Address("TCP", *self.web_server))
        else:
            asked = self.names.lookupAddress(hostName)
            asked.addCallback(lambda answer: [
                receiver.addressResolved(IPv4Address("TCP", record.payload.dottedQuad(), portNumber))
                for record in answer[0]
            ])
            asked.addErrback(lambda _: None)
            asked.addCallback(lambda _: receiver.resolutionComplete())
        return resolution


def main():
    name_server, web_server = (socket_of(word) for word in sys.argv[1:3])
    names = client.Resolver(servers=[name_server])
    client.theResolver = names
    reactor.installNameResolver(Elsewhere(names, web_server))
    # Synapse installs the system's resolver on a thread pool of its own when it starts; this one stays.
    reactor.installNameResolver = lambda _: None
    sys.argv[1:3] = []
    runpy.run_module("synapse.app.homeserver", run_name="__main__", alter_sys=True)


main()
