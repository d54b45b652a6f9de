"use strict";
// Asks once a second what is new. What people and campaigns write is only ever set as text.
(() => {
  const EVERY = 1000;
  const at = (id) => document.getElementById(id);
  const make = (tag, name, text) => {
    const node = document.createElement(tag);
    if (name) node.className = name;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const time = (iso) =>
    new Date(iso).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const moment = (iso) =>
    new Date(iso).toLocaleString([], { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

  let version = "";
  let chosen = "";
  let shown = "";
  let line = null;

  // By phone: what is there stays there, so that nothing moves away from under a click.
  const items = new Map();

  const person = (one) => {
    let item = items.get(one.phone);
    if (!item) {
      item = make("li");
      const button = make("button");
      button.type = "button";
      button.dataset.phone = one.phone;
      button.setAttribute("aria-current", String(one.phone === chosen));
      button.append(make("span", "number", one.phone), make("span", "at"), make("span", "words"));
      button.addEventListener("click", () => choose(one.phone));
      item.append(button);
      items.set(one.phone, item);
    }
    const [, when, words] = item.firstChild.children;
    when.textContent = time(one.at);
    words.className = one.opted_out ? "words out" : "words";
    words.textContent = `${one.opted_out ? "Opted out · " : ""}${one.text || "…"}`;
    return item;
  };

  const list = async (fresh) => {
    const search = at("search").value;
    const asked = new URLSearchParams({ version: fresh ? "" : version, search });
    const answer = await fetch(`/_sandbox/phones?${asked}`);
    if (answer.status === 304) return;
    const { version: now, people, phones } = await answer.json();
    version = now;
    const wanted = phones.map(person);
    const list = at("people");
    if (wanted.length !== list.children.length || wanted.some((item, n) => item !== list.children[n])) {
      const focused = document.activeElement;
      list.replaceChildren(...wanted);
      if (list.contains(focused)) focused.focus({ preventScroll: true });
    }
    const some = people === 1 ? "1 phone" : `${people} phones`;
    at("count").textContent =
      people === 0 ? "Nobody has been written to yet." :
      phones.length < people ? `${phones.length} of ${some}` : some;
  };

  const picture = (part, bubble, name) => {
    const box = make("div", name);
    if (!part.attachment_id) {
      let host = "elsewhere";
      try { host = new URL(part.url).host; } catch { /* shown as it is */ }
      box.classList.add("missing");
      box.textContent = `A picture from ${host}, which is not fetched here`;
      return box;
    }
    const image = make("img");
    image.alt = "The picture of this message";
    image.addEventListener("error", () => {
      box.classList.add("missing");
      box.textContent = "A file that cannot be shown here";
    });
    image.addEventListener("load", () => stick());
    image.src = `/_sandbox/phones/media/${bubble.tenant}/${encodeURIComponent(part.attachment_id)}`;
    box.append(image);
    return box;
  };

  const card = (part, name) => {
    const box = make("div", `${name} card`);
    const body = make("span", "body");
    let host = part.url || "";
    try { host = new URL(part.url).host; } catch { /* shown as it is */ }
    body.append(make("span", "title", part.title || host));
    if (part.summary) body.append(make("span", "", part.summary));
    body.append(make("span", "host", host));
    box.title = part.url || "";
    box.append(body);
    return box;
  };

  const parts = (bubble) => {
    const name = bubble.mine ? "bubble mine" : "bubble";
    return (bubble.parts || []).map((part) => {
      switch (part.type) {
        case "text": return make("div", `${name} text`, part.value);
        case "media": return picture(part, bubble, name);
        case "rich_link": return card(part, name);
        default: return make("div", `${name} text`, part.name || part.address || part.url || String(part.type).replaceAll("_", " "));
      }
    });
  };

  const status = (bubble) => {
    if (bubble.mine) return make("p", "status mine", time(bubble.at));
    const words = [time(bubble.at)];
    if (bubble.from) words.push(`from ${bubble.from}`);
    if (bubble.effect) words.push(`with ${bubble.effect}`);
    if (bubble.edited) words.push("edited");
    if (bubble.read_at) words.push(`read ${time(bubble.read_at)}`);
    else if (bubble.delivered_at) words.push(`delivered ${time(bubble.delivered_at)}`);
    else if (bubble.status) words.push(bubble.status);
    return make("p", "status", words.join(" · "));
  };

  const stick = () => {
    const log = at("bubbles");
    log.scrollTop = log.scrollHeight;
  };

  const draw = (view) => {
    const log = at("bubbles");
    const low = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
    const nodes = [];
    if (view.left_out > 0) nodes.push(make("p", "note", `${view.left_out} older messages are not shown`));
    let before = "";
    for (const bubble of view.bubbles) {
      const where = [bubble.line, bubble.group].filter(Boolean).join(" · ");
      if (where !== before) nodes.push(make("p", "note", `${where}, ${moment(bubble.at)}`));
      before = where;
      nodes.push(...parts(bubble), status(bubble));
    }
    log.replaceChildren(...nodes);
    if (low) stick();
  };

  const thread = async () => {
    if (!chosen) return;
    const asked = chosen;
    const answer = await fetch(`/_sandbox/phones/${encodeURIComponent(asked)}`);
    if (!answer.ok || asked !== chosen) return;
    const view = await answer.json();
    at("clock").textContent = moment(view.now);
    at("badge").hidden = !view.opted_out;
    line = view.bubbles.findLast((one) => !one.mine && !one.group)?.line ?? null;
    const now = JSON.stringify(view.bubbles);
    if (now === shown) return;
    const first = shown === "";
    shown = now;
    draw(view);
    if (first) stick();
  };

  const choose = (phone) => {
    chosen = phone;
    shown = "";
    at("owner").textContent = phone;
    at("whom").textContent = phone;
    at("trouble").textContent = "";
    at("phone").hidden = phone === "";
    at("nobody").hidden = phone !== "";
    document.body.classList.toggle("chosen", phone !== "");
    for (const button of document.querySelectorAll("#people button")) {
      button.setAttribute("aria-current", String(button.dataset.phone === phone));
    }
    at("bubbles").replaceChildren();
    look();
    if (phone) at("text").focus({ preventScroll: true });
  };

  const answer = async (event) => {
    event.preventDefault();
    const text = at("text").value;
    if (text.trim() === "") return;
    const body = { from: chosen, text };
    if (line) body.to = line;
    try {
      const taken = await fetch("/_sandbox/inbound", { method: "POST", body: JSON.stringify(body) });
      const said = await taken.json();
      if (!taken.ok) throw new Error(said.error);
      at("text").value = "";
      at("trouble").textContent = "";
    } catch (error) {
      at("trouble").textContent = `It did not arrive: ${error.message}`;
    }
    look();
  };

  const look = async (fresh = false) => {
    try {
      await Promise.all([list(fresh), thread()]);
      document.body.removeAttribute("data-gone");
    } catch {
      document.body.setAttribute("data-gone", "");
      at("count").textContent = "The sandbox does not answer; it may have ended.";
      version = "";
    }
  };

  at("search").addEventListener("input", () => look(true));
  at("back").addEventListener("click", () => choose(""));
  at("answer").addEventListener("submit", answer);
  const again = async () => {
    await look();
    setTimeout(again, EVERY);
  };
  again();
})();
