"""Servers whose names do not say where they are: a delegation or SRV records do.

In both directions. Our server is told by its configuration whom to ask; Synapse has no such setting and gets
its resolvers replaced before it starts (`synapse_elsewhere.py`). The names themselves have no address, so
whoever arrives has found the way the name prescribes.
"""

from names import Zone
from people import eventually


class Way:
    """One way in which a name leads to a server."""

    def __init__(self, word, fact, delegate=None, service=None, port=False):
        self.word, self.fact = word, fact
        self.delegate, self.service, self.port = delegate, service, port

    def name(self, kind):
        return f"{kind}.{self.word}.test"

    def host(self, kind):
        """Whom the certificate is for: who a delegation names, else the server itself."""
        return f"{self.delegate}.{self.name(kind)}" if self.delegate else self.name(kind)

    def lay(self, zone, server, kind):
        """Makes the name lead to the server."""
        name, host, port = self.name(kind), self.host(kind), server.wire.port
        if self.delegate:
            zone.delegations[name] = f"{host}:{port}" if self.port else host
        if self.service:
            zone.services[f"{self.service}.{host}"] = (f"machine.{name}", port)
        zone.addresses[f"machine.{name}" if self.service else host] = server.address


WAYS = [
    Way("delegated", "a delegation to a host and port", delegate="matrix", port=True),
    Way("inner", "a delegation to a name with SRV records", delegate="inner", service="_matrix-fed._tcp"),
    Way("srv", "SRV records", service="_matrix-fed._tcp"),
    Way("oldsrv", "SRV records of the deprecated service", service="_matrix._tcp"),
]
KINDS = ("one", "two")


def play(stage, facts):
    hosts = [way.name(kind) for way in WAYS for kind in KINDS]
    zone = Zone("127.0.0.5", stage.authority, hosts)
    try:
        for way in WAYS:
            with facts.part(way.fact):
                found(stage, zone, way, facts)
    finally:
        zone.stop()


def found(stage, zone, way, facts):
    """A pair of servers that know of each other by such names."""
    makers = zip(KINDS, (type(stage.vestibule), type(stage.synapse)), ("127.0.0.6", "127.0.0.7"))
    pair = []
    for kind, make, address in makers:
        server = make(
            stage.folder, address, stage.authority, stage.identity.name,
            name=way.name(kind), host=way.host(kind), zone=zone,
        )
        way.lay(zone, server, kind)
        pair.append(server)
    try:
        for server in pair:
            server.wire.mend()
            server.start()
        for here, there in (pair, pair[::-1]):
            meet(here, there, lambda fact, *seen, what=f"{way.fact}, room of {here.kind}": facts.check(
                f"{what}: {fact}", *seen))
    finally:
        codes = {server.kind: server.stop() for server in pair}
        for server in pair:
            server.wire.cut()
        facts.check(f"{way.fact}: both servers stop cleanly", set(codes.values()) == {0}, codes)


def meet(here, there, check):
    """Somebody comes by the server's name, and both are heard."""
    alice, bob = here.person("alice"), there.person("bob")
    alias = f"#meet-{alice.user_id[1:].split(':')[0]}:{here.name}"
    room = alice.create_room("12", room_alias_name=alias[1:].split(":")[0])
    status, answer = bob.ask("GET", "directory", "room", alias)
    check("its alias is resolved", status == 200 and answer["room_id"] == room, answer)
    status, answer = bob.try_join(alias)
    check("it is joined by its alias", status == 200, answer)
    check("the join is seen", alice.sees_membership(room, bob.user_id, "join"))
    said = bob.say(room, "I found you")
    check("who came is heard", alice.sees_event(room, said))
    answered = alice.say(room, "and I you")
    check("who was there is heard", bob.sees_event(room, answered))
    carol = there.person("carol")
    since = carol.mark()
    alice.member_act("invite", room, carol.user_id)
    check("an invitation arrives", carol.sees_invite(since, room))
    check("both see the same", eventually(lambda: alice.state_ids(room) == bob.state_ids(room)))
