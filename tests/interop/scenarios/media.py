"""Files of one server, given out by the other."""

import io

from PIL import Image
from people import eventually


def play(stage, facts):
    for here, there in stage.ways():
        check = facts.about(f"files of {here}")
        with facts.part(f"files of {here}"):
            files(here, there, check)
        with facts.part(f"pictures of {here}"):
            pictures(here, there, check)


def files(here, there, check):
    alice, bob = here.person("alice"), there.person("bob")
    text = "some words, and ümläute\n".encode() * 5000
    where = alice.upload(text, "text/plain; charset=utf-8", "words.txt")
    status, headers, read = bob.download("download", *where)
    check(f"{there} gives out a file", (status, read) == (200, text), (status, len(read)))
    check("with its type", headers.get_content_type() == "text/plain", headers.items())
    check("and its name", "words.txt" in headers.get("Content-Disposition", ""), headers.items())
    status, headers, read = bob.download("download", *where, "other.txt")
    check("under another name where one asks for it", status == 200 and "other.txt" in headers.get(
        "Content-Disposition", "") and read == text, (status, headers.items()))
    empty = bob.download("download", where[0], "NoSuchFileHereAtAll")
    check("404 for a file that is none", empty[0] == 404, empty)
    stranger = bob.server.url
    bob.token, kept = None, bob.token
    refused = bob.download("download", *where)
    check("and nothing to who is not logged in", refused[0] == 401, (stranger, refused[0]))
    bob.token = kept


def pictures(here, there, check):
    alice, bob = here.person("alice"), there.person("bob")
    picture = Image.new("RGB", (640, 480), (20, 120, 220))
    written = io.BytesIO()
    picture.save(written, "PNG")
    where = alice.upload(written.getvalue(), "image/png", "picture.png")
    for method, width, height in (("scale", 320, 240), ("crop", 96, 96)):
        query = {"width": width, "height": height, "method": method, "timeout_ms": 20000}
        status, headers, read = eventually(lambda: found(bob.download("thumbnail", *where, query=query)), 10) or (
            bob.download("thumbnail", *where, query=query))
        size = Image.open(io.BytesIO(read)).size if status == 200 else None
        check(f"{there} gives out a thumbnail made by {method}", size == (width, height), (status, size))
        check(f"that is a picture ({method})", headers.get_content_maintype() == "image", headers.items())
    status, headers, read = bob.download("download", *where)
    check("and the picture itself", (status, read) == (200, written.getvalue()), (status, len(read)))
    # What an avatar is: an address in a profile that the other server follows.
    alice.must("PUT", "profile", alice.user_id, "avatar_url", body={"avatar_url": f"mxc://{'/'.join(where)}"})
    seen = bob.must("GET", "profile", alice.user_id, "avatar_url")
    status, _, read = bob.download("download", *seen["avatar_url"].removeprefix("mxc://").split("/"))
    check("and follows an avatar", (status, read) == (200, written.getvalue()), status)


def found(answer):
    return answer if answer[0] == 200 else None
