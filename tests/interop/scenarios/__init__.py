"""What is played. Every scenario takes the stage and the facts it states."""

from . import (
    acl, addresses, directory, doors, guests, history, keys, media, membership, names, outage, people, rooms, upgrade,
)

# Played beside each other: what they wait for is mostly the other server.
TOGETHER = {
    "names": names.play,
    "rooms": rooms.play,
    "membership": membership.play,
    "doors": doors.play,
    "history": history.play,
    "upgrade": upgrade.play,
    "people": people.play,
    "keys": keys.play,
    "directory": directory.play,
    "acl": acl.play,
    "guests": guests.play,
    "media": media.play,
    "addresses": addresses.play,
}
# Played one after the other: they take servers away.
ALONE = {"outage": outage.play}
ALL = TOGETHER | ALONE
