"""What is played. Every scenario takes the stage and the facts it states."""

from . import acl, directory, doors, guests, history, keys, membership, outage, people, rooms, upgrade

# Played beside each other: what they wait for is mostly the other server.
TOGETHER = {
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
}
# Played one after the other: they take servers away.
ALONE = {"outage": outage.play}
ALL = TOGETHER | ALONE
