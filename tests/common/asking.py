"""Plain HTTP, as every scenario speaks it beside the clients and servers it is about."""

import http.client
import json
from urllib.parse import quote, urlsplit

VERSION = "v3"


def fetch(url, method, path, token=None, body=None, content_type="application/json", timeout=90, context=None):
    """One request exactly as written: no client tidies the path. Answers (status, headers, bytes)."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=context)
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    headers = {"Content-Type": content_type}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def say(url, method, path, token=None, body=None, timeout=90, context=None):
    """One request with JSON, or without a body. Answers (status, JSON or text)."""
    sent = None if body is None else json.dumps(body)
    status, _, read = fetch(url, method, path, token, sent, timeout=timeout, context=context)
    text = read.decode("utf-8", "replace")
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


def path(*parts, version=VERSION):
    """A client path with every part percent-encoded."""
    return f"/_matrix/client/{version}/" + "/".join(quote(part, safe="") for part in parts)
