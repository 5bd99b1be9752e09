"""What is played. Every scenario takes the stage and the facts it states."""

from . import directory, doors, guests, history, keys, membership, outage, people, rooms, upgrade

ALL = {
    "rooms": rooms.play,
    "membership": membership.play,
    "doors": doors.play,
    "history": history.play,
    "upgrade": upgrade.play,
    "people": people.play,
    "keys": keys.play,
    "directory": directory.play,
    "guests": guests.play,
    "outage": outage.play,
}
