"""What schemathesis needs to get past the door of the sandbox's HueChat: a key, and contacts,
conversations and webhooks that are there. Counts what was accepted."""

import atexit
import json
import os
import random
import urllib.request
from collections import Counter

import requests
import schemathesis

BASE = os.environ["SANDBOX_URL"]
KEY = "sk_test_schemathesis"
pick = random.Random(1)
answers, by_route = Counter(), {}


class Credentials(requests.auth.AuthBase):
    """Either header opens the account, in turn."""

    def __init__(self):
        self.calls = 0

    def __call__(self, request):
        self.calls += 1
        if self.calls % 2:
            request.headers["X-API-Key"] = KEY
        else:
            request.headers["Authorization"] = f"Bearer {KEY}"
        return request


schemathesis.auth.set_from_requests(Credentials())


def ask(method, path, body=None):
    data = json.dumps(body).encode() if body is not None else None
    headers = {"X-API-Key": KEY, "Content-Type": "application/json"}
    request = urllib.request.Request(BASE + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        text = answer.read()
        return json.loads(text) if text else None


fresh = iter(range(10**7))


def contact():
    """Somebody new, whose number nobody else has."""
    body = {"phone": f"+4477{next(fresh):08}", "email": f"guest{next(fresh)}@bistro.example", "first_name": "Dana"}
    return ask("POST", "/v2/contact", body)["id"]


def webhook():
    for old in ask("GET", "/v2/webhooks?limit=100")["data"][20:]:
        ask("DELETE", f"/v2/webhooks/{old['id']}")
    wish = {"url": "https://hooks.bistro.example/a", "events": ["message.sent"], "active": False}
    return ask("POST", "/v2/webhooks", wish)["id"]


WORLD = {}


def world():
    for _ in range(3):
        one = contact()
        WORLD.setdefault("contact", []).append(one)
        text = {"channel": "whatsapp", "message_type": "text", "content": "Hello"}
        sent = ask("POST", f"/v2/contact/{one}/message", text)
        WORLD.setdefault("conversation", []).append(sent["conversation_id"])
        said = {"from": one, "channel": "instagram", "text": "Hi"}
        ask("POST", "/_sandbox/inbound", said)


@schemathesis.hook
def before_call(context, case, **kwargs):
    if not WORLD:
        world()
    # A quarter stays as it was made up.
    if pick.random() < 0.25:
        return
    path, method = case.operation.path, case.operation.method.upper()
    known = None
    if path == "/v2/contact/{id}":
        known = contact() if method != "GET" else pick.choice(WORLD["contact"])
    elif path.startswith("/v2/contact/{id}"):
        known = pick.choice(WORLD["contact"])
    elif path.startswith("/v2/conversation/{id}"):
        known = pick.choice(WORLD["conversation"])
    elif path.startswith("/v2/webhooks/{id}"):
        known = webhook()
    if known and case.path_parameters and isinstance(case.path_parameters.get("id"), str):
        case.path_parameters["id"] = known
    body = case.body
    if not isinstance(body, dict):
        return
    # Numbers and addresses that nobody has yet, and a template that there is.
    if "/contact" in path and isinstance(body.get("phone"), str):
        body["phone"] = f"+4478{next(fresh):08}"
    if "/contact" in path and isinstance(body.get("email"), str):
        body["email"] = f"guest{next(fresh)}@bistro.example"
    if body.get("message_type") == "template" and isinstance(body.get("template_name"), str):
        body["template_name"], body["template_parameters"] = "welcome", {"1": "Dana"}
    if path == "/v2/webhooks" and method == "POST":
        webhook()


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
    print(f"openapi huechat: {calls} calls of {len(by_route)} operations, {accepted} accepted; "
          f"never accepted: {', '.join(never) or 'none'}", flush=True)
    if never or not calls:
        os._exit(1)  # what nothing reaches is not tested
