"""What schemathesis needs to get past the sandbox's door: credentials, and chats, messages and
files that are there. Counts what was accepted."""

import atexit
import hashlib
import hmac
import json
import os
import random
import threading
import time
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, HTTPServer

import requests
import schemathesis

BASE = os.environ["SANDBOX_URL"]
SECRET = os.environ["SANDBOX_SECRET"]
TENANT = os.environ["SANDBOX_TENANT"]
LINES = ["+15555550100", "+15555550101"]
PEOPLE = [f"+155555501{nth:02}" for nth in range(20, 60)]
pick = random.Random(1)
answers, by_route = Counter(), {}


class Credentials(requests.auth.AuthBase):
    """Every second request is signed, over the bytes as they leave; an upload never is."""

    def __init__(self):
        self.calls = 0

    def __call__(self, request):
        self.calls += 1
        if request.method == "PUT" and request.url.split("?")[0].endswith("/upload") or self.calls % 2:
            request.headers["Authorization"] = f"Bearer {SECRET}"
            return request
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        now = str(int(time.time()))
        mac = hmac.new(SECRET.encode(), now.encode() + b"." + body, hashlib.sha256)
        request.headers["x-chert-signature"] = f"v1,{now},{mac.hexdigest()}"
        request.headers["x-chert-tenant"] = TENANT
        return request


schemathesis.auth.set_from_requests(Credentials())


def ask(method, path, body=None, raw=None, kind="application/json"):
    data = raw if raw is not None else (json.dumps(body).encode() if body is not None else None)
    headers = {"Authorization": f"Bearer {SECRET}", "Content-Type": kind}
    request = urllib.request.Request(BASE + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())


class Receiver(BaseHTTPRequestHandler):
    """Somebody who is told of events."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def subscribe(url):
    old = ask("GET", "/api/v1/webhook-subscriptions")["subscriptions"]
    # An account has room for 50; those of the world stay.
    for one in old[:-2] if len(old) > 30 else []:
        ask("DELETE", f"/api/v1/webhook-subscriptions/{one['id']}")
    return ask("POST", "/api/v1/webhook-subscriptions", {"url": url})["subscription"]["id"]


def say(text):
    return {"message": {"parts": [{"type": "text", "value": text}]}}


def world():
    """Two chats, a group, their messages, files, and what a person wrote."""
    made = {"chat": [], "group": [], "message": [], "file": [], "event": [], "inbound": [], "subscription": []}
    receiver = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    made["subscription"] = [subscribe(f"http://127.0.0.1:{receiver.server_port}/")]
    subscribe("https://dev-inbox")
    for person in PEOPLE[:2]:
        one = ask("POST", "/api/v1/chats", {"from": LINES[0], "to": [person], **say("Hello")})
        made["chat"].append(one["chat"]["id"])
        made["message"].append(one["message"]["id"])
    for _ in range(3):
        one = ask("POST", "/api/v1/chats", {"from": LINES[0], "to": PEOPLE[:5], **say("Hello all")})
        made["group"].append(one["chat"]["id"])
    slot = ask("POST", "/api/v1/attachments", {"filename": "a.png", "content_type": "image/png", "size_bytes": 3})
    made["file"].append(slot["attachment_id"])
    ask("PUT", f"/api/v1/attachments/{slot['attachment_id']}/upload", raw=b"abc", kind="image/png")
    kept = ask("POST", "/_sandbox/files", {"content_type": "image/png", "base64": "YWJj"})
    made["inbound"].append(kept["attachment_id"])
    for text in ["Yes", "STOP"]:
        ask("POST", "/_sandbox/inbound", {"from": PEOPLE[0], "text": text, "files": made["inbound"]})
    made["event"] = [one["id"] for one in ask("GET", "/api/v1/events")["events"]]
    made["line"] = [one["id"] for one in ask("GET", "/api/v1/phone-numbers")["phone_numbers"]]
    return made


WORLD = None


def known_ids(path):
    if "/messages/{id}" in path:
        return WORLD["message"]
    if "/participants" in path or path.endswith(("/leave", "/chats/{id}")):
        return WORLD["group"]
    if "/chats/{id}" in path:
        return WORLD["chat"]
    if path.endswith("/content"):
        return WORLD["inbound"]
    if "/webhook-subscriptions/{id}" in path:
        return WORLD["subscription"]
    if "/events/{id}" in path:
        return WORLD["event"]
    return []


def mend(body):
    """Puts numbers, lines and files that are there in place of made-up ones of the same kind."""
    if isinstance(body.get("from"), str):
        body["from"] = pick.choice(LINES)
    if isinstance(body.get("to"), str):
        body["to"] = pick.choice(PEOPLE[:2])
    if isinstance(body.get("phone_line_id"), str):
        body["phone_line_id"] = pick.choice(WORLD["line"])
    if isinstance(body.get("chat_id"), str):
        body["chat_id"] = "iMessage;-;" + pick.choice(PEOPLE[:2])
    if isinstance(body.get("expires_at"), str):
        body["expires_at"] = "2100-01-01T00:00:00Z"
    if isinstance(body.get("edited_part_index"), int):
        body["edited_part_index"] = 0
    if isinstance(body.get("attachments"), list):
        body["attachments"] = [pick.choice(WORLD["file"]) for _ in body["attachments"]]
    message = body.get("message")
    if not isinstance(message, dict) or not isinstance(message.get("parts"), list):
        return
    kept = []
    for part in message["parts"]:
        if isinstance(part, dict) and isinstance(part.get("attachment_id"), str):
            part["attachment_id"] = pick.choice(WORLD["file"])
        text = lambda one: isinstance(one, dict) and one.get("type") == "text"
        if not (kept and text(kept[-1]) and text(part)):
            kept.append(part)
    message["parts"] = kept


@schemathesis.hook
def before_call(context, case, **kwargs):
    global WORLD
    WORLD = WORLD or world()
    # A quarter stays as it was made up.
    if pick.random() < 0.25:
        return
    path, ids = case.operation.path, known_ids(case.operation.path)
    if "/webhook-subscriptions" in path and case.operation.method.upper() != "GET":
        # Those of the world keep what they are.
        ids = [subscribe("https://hooks.bistro.example/a")]
    elif path.endswith("/leave") or case.operation.method.upper() == "DELETE":
        # What is left or shrinks can be so once: a group of its own.
        one = ask("POST", "/api/v1/chats", {"from": LINES[0], "to": PEOPLE[:5], **say("Hello all")})
        ids = [one["chat"]["id"]]
    if path.endswith("/replay") and isinstance(case.query, dict) and "subscription_id" in case.query:
        case.query["subscription_id"] = WORLD["subscription"][0]
    if ids and case.path_parameters and isinstance(case.path_parameters.get("id"), str):
        case.path_parameters["id"] = pick.choice(ids)
        if isinstance(case.path_parameters.get("address"), str):
            case.path_parameters["address"] = pick.choice(PEOPLE[:5])
    if path.endswith("/upload") and case.path_parameters:
        slot = ask("POST", "/api/v1/attachments",
                   {"filename": "b.png", "content_type": "image/png", "size_bytes": 1000})
        case.path_parameters["id"] = slot["attachment_id"]
        case.media_type = "image/png"
        case.body = bytes(pick.randrange(256) for _ in range(pick.randrange(1, 1000)))
    if isinstance(case.body, dict):
        mend(case.body)


@schemathesis.hook
def after_call(context, case, response):
    group = f"{response.status_code // 100}xx"
    answers[group] += 1
    by_route.setdefault(case.operation.label, Counter())[group] += 1


@atexit.register
def tell():
    calls, accepted = sum(answers.values()), answers["2xx"]
    for label, seen in sorted(by_route.items()):
        print(f"  {label}: {seen['2xx']} of {sum(seen.values())} accepted")
    never = [label for label, seen in by_route.items() if not seen["2xx"]]
    print(f"openapi: {calls} calls of {len(by_route)} operations, {accepted} accepted, "
          f"{answers['5xx']} answered with 501 or 502; never accepted: {', '.join(never) or 'none'}", flush=True)
    if never or not calls:
        os._exit(1)  # what nothing reaches is not tested
