// Every page works without this. It adds the keyboard's quick way out, live progress, and drafts that survive.

// Escape, three times within a second: leave.
let pressed = [];
addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  pressed = [...pressed.filter((time) => event.timeStamp - time < 1000), event.timeStamp];
  if (pressed.length >= 3) document.querySelector(".leave")?.click();
});

// What is wrong is read out first.
document.querySelector("#errors")?.focus();

// What would leave is counted again whenever a box changes.
const leaving = document.querySelector("form.leaving");
let counting = 0;
leaving?.addEventListener("change", () => {
  clearTimeout(counting);
  counting = setTimeout(async () => {
    const address = `${leaving.querySelector(".recount").formAction}?${new URLSearchParams(new FormData(leaving))}`;
    const page = new DOMParser().parseFromString(await (await fetch(address)).text(), "text/html");
    const told = page.querySelector(".total") ?? page.querySelector("#errors h2");
    for (const total of leaving.querySelectorAll(".total")) total.textContent = told?.textContent ?? "";
  }, 400);
});

// Showing a field keeps what was ticked since.
document.querySelector("#reveal")?.addEventListener("submit", (event) => {
  if (leaving) event.target.action = `${event.target.action.split("?")[0]}?${new URLSearchParams(new FormData(leaving))}`;
});

// What a page shows of transfers follows them. The stream holds a sentence and numbers, already in the reader's words.
const live = document.querySelector("[data-live]");
if (live && "EventSource" in window) {
  const known = new Map();
  const news = document.querySelector("[data-news]");
  let waiting = live.dataset.waits; // whether our last step still waits for the network
  const lineOf = (line) => {
    // An offer that the page did not know when it was made: a link to it, where offers stand.
    const list = document.querySelector("[data-offers]");
    if (!list || line.direction !== "in" || line.state !== "offered") return;
    const item = document.createElement("li"), link = document.createElement("a"), name = document.createElement("strong"), told = document.createElement("p");
    item.className = "line waits";
    link.href = `/transfers/${line.id}`;
    name.textContent = line.name;
    told.dataset.transfer = line.id;
    told.textContent = line.sentence;
    link.append(name);
    item.append(link, told);
    list.prepend(item);
    document.querySelector("[data-no-offers]")?.remove();
    const count = document.querySelector("[data-offers-count]");
    if (count) count.textContent = String(list.children.length);
  };
  const stream = new EventSource(live.dataset.live);
  stream.addEventListener("message", (event) => {
    const line = JSON.parse(event.data), state = `${line.state}/${line.erasure}`, told = document.querySelectorAll(`[data-transfer="${line.id}"]`);
    const before = known.get(line.id) ?? live.dataset.state;
    const changed = before !== undefined ? before !== state : [...told].some((each) => each.textContent !== line.sentence) || !told.length;
    known.set(line.id, state);
    if (!told.length) lineOf(line);
    for (const each of told) each.textContent = line.sentence;
    for (const each of document.querySelectorAll(`[data-progress="${line.id}"]`)) {
      each.hidden = !line.total || !line.done || line.still || (line.state !== "accepted" && line.state !== "shipped");
      if (line.total) { each.max = line.total; each.value = line.done; }
    }
    if (changed && news) news.textContent = line.told;
    if (changed || waiting !== String(line.waits)) follow();
    waiting = String(line.waits);
  });
  stream.addEventListener("over", () => stream.close());
  addEventListener("pagehide", () => stream.close());
}

// One transfer's page is fetched again with each step, for its steps and what may be done now; what is being typed stays.
let following = Promise.resolve(), typedHere = false;
document.querySelector("[data-followed]")?.addEventListener("input", () => { typedHere = true; });
function follow() {
  following = following.then(async () => {
    const shown = document.querySelector("[data-followed]");
    if (!shown || typedHere) return;
    const answer = await fetch(location.pathname);
    if (!answer.ok || answer.redirected) return;
    const next = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-followed]");
    if (!next || typedHere) return;
    const open = [...shown.querySelectorAll("details[open] > summary")].map((each) => each.textContent);
    for (const each of next.querySelectorAll("details > summary")) if (open.includes(each.textContent)) each.parentNode.open = true;
    const focused = shown.contains(document.activeElement) && document.activeElement;
    shown.replaceChildren(...next.childNodes);
    if (focused) ([...shown.querySelectorAll("a, button, summary")].find((each) => each.textContent === focused.textContent) ?? document.querySelector("main")).focus();
  }).catch(() => {});
}

// Passkeys: the browser signs, the form carries it.
const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (each) => each.charCodeAt(0));
const text64 = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

function passkeyForm(form, run) {
  if (!window.PublicKeyCredential) return;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    if (form.elements.credential.value) return;
    event.preventDefault();
    form.querySelector("[data-failed]").hidden = true;
    try {
      form.elements.credential.value = JSON.stringify(await run());
      form.submit();
    } catch {
      form.querySelector("[data-failed]").hidden = false;
    }
  });
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  passkeyForm(form, async () => {
    const options = JSON.parse(form.dataset.passkey);
    options.challenge = bytes(options.challenge);
    options.allowCredentials = options.allowCredentials.map((each) => ({ ...each, id: bytes(each.id) }));
    const made = await navigator.credentials.get({ publicKey: options });
    const { authenticatorData, clientDataJSON, signature, userHandle } = made.response;
    return {
      id: made.id, rawId: text64(made.rawId), type: made.type,
      response: {
        authenticatorData: text64(authenticatorData), clientDataJSON: text64(clientDataJSON),
        signature: text64(signature), userHandle: userHandle ? text64(userHandle) : undefined,
      },
    };
  });
}

for (const form of document.querySelectorAll("form[data-passkey-new]")) {
  passkeyForm(form, async () => {
    const options = JSON.parse(form.dataset.passkeyNew);
    options.challenge = bytes(options.challenge);
    options.user.id = bytes(options.user.id);
    options.excludeCredentials = options.excludeCredentials.map((each) => ({ ...each, id: bytes(each.id) }));
    const made = await navigator.credentials.create({ publicKey: options });
    return {
      id: made.id, rawId: text64(made.rawId), type: made.type,
      response: {
        attestationObject: text64(made.response.attestationObject), clientDataJSON: text64(made.response.clientDataJSON),
      },
    };
  });
}

// Nobody at the machine: the screen locks itself. What was typed is a draft by then.
const LOCK_AFTER = 10 * 60 * 1000;
const lock = document.querySelector('form[action="/lock"]');
if (lock) {
  let last = Date.now();
  for (const kind of ["keydown", "pointerdown", "pointermove", "scroll", "touchstart"])
    addEventListener(kind, () => { last = Date.now(); }, { passive: true });
  setInterval(() => { if (Date.now() - last > LOCK_AFTER) lock.submit(); }, 5000);
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}

// What is typed is kept as a draft: two seconds after the last key, eight after the
// first of somebody who makes no pause, and at once when the page goes out of sight.
for (const form of document.querySelectorAll("form[data-draft]")) keepDrafts(form);

function keepDrafts(form) {
  const said = form.querySelector("[data-draft-said]");
  const tell = (text) => { if (said && said.textContent !== text) said.textContent = text; };
  let timer = 0, since = 0, changed = false, saved = false, lost = false, running = null;
  if (!form.elements.draft_key) {
    const key = document.createElement("input");
    Object.assign(key, { type: "hidden", name: "draft_key", value: form.dataset.draft });
    form.append(key);
  }

  async function keep(keepalive = false) {
    clearTimeout(timer);
    if (!changed || saved) return;
    changed = false;
    running?.abort();
    running = new AbortController();
    try {
      const body = new URLSearchParams(new FormData(form));
      const answer = await fetch("/draft", { method: "POST", body, keepalive, signal: running.signal });
      if (answer.status >= 500 || answer.status === 429) return again();
      lost = false;
      if (answer.status === 204) {
        const now = new Date().toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit" });
        tell(said?.dataset.draftSaid.replace("%", now));
      } else tell(answer.headers.get("draft") === "kept" ? said?.dataset.draftEnded : said?.dataset.draftGone);
    } catch (failed) {
      if (failed.name !== "AbortError") again();
    }
  }

  function again() {
    changed = lost = true;
    since = Date.now();
    tell(said?.dataset.draftLost);
    timer = setTimeout(keep, 5000);
  }

  // An older draft waits to be taken up or thrown away: what is typed beside it must not take its place.
  const waits = Boolean(document.querySelector("[data-draft-waits]"));
  const later = () => {
    if (waits) return tell(said?.dataset.draftWaiting);
    if (!changed) since = Date.now();
    changed = true;
    clearTimeout(timer);
    timer = setTimeout(keep, Math.min(2000, Math.max(0, since + 8000 - Date.now())));
  };
  form.addEventListener("input", later);
  form.addEventListener("change", later);
  form.addEventListener("submit", async (event) => {
    if (lost) { // nothing answers: to send the form now would put an error page in its place
      event.preventDefault();
      changed = true;
      await keep();
      if (!lost) form.requestSubmit(event.submitter);
      return;
    }
    saved = true;
    clearTimeout(timer);
    running?.abort();
  });
  addEventListener("pageshow", () => { saved = false; });
  document.addEventListener("visibilitychange", () => { if (document.visibilityState === "hidden") keep(true); });
}

// A file is sent with its progress shown, and is done when the node has told the hash of what it keeps.
for (const form of document.querySelectorAll("form[data-upload]")) sendFiles(form);

function sendFiles(form) {
  const input = form.querySelector('input[type="file"]');
  const list = document.querySelector("#uploads");
  const drop = form.querySelector(".drop");
  input.multiple = true;

  addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
  addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (!event.dataTransfer.files.length) return;
    input.files = event.dataTransfer.files;
    input.focus();
    input.scrollIntoView({ block: "center" });
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button.main");
    const files = [...input.files];
    const fields = [...new FormData(form)].filter(([name]) => name !== "file");
    button.disabled = true;
    for (const file of files) await sendOne(file, fields);
    button.disabled = false;
    input.value = "";
    button.focus();
    await showKept();
  });

  async function showKept() {
    const answer = await fetch(form.action);
    if (!answer.ok || answer.redirected) return;
    const shown = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#kept-files");
    if (shown) document.querySelector("#kept-files").replaceWith(shown);
  }

  async function sendOne(file, fields) {
    const item = list.appendChild(document.createElement("div"));
    item.className = "notice";
    const name = item.appendChild(document.createElement("p"));
    name.textContent = file.name;
    const bar = item.appendChild(document.createElement("progress"));
    bar.max = file.size || 1;
    bar.value = 0;
    bar.setAttribute("aria-label", file.name);
    const said = item.appendChild(document.createElement("p"));
    const end = (kind, ...parts) => { bar.remove(); item.classList.add(kind); said.append(...parts); };
    if (file.size > Number(form.dataset.upload)) return end("wrong", form.dataset.saidLarge);

    const body = new FormData();
    for (const [key, value] of fields) body.append(key, value);
    body.append("file", file); // last: the node reads the fields first
    const own = hashOf(file);
    const answer = await new Promise((resolve) => {
      const request = new XMLHttpRequest();
      request.open("POST", form.action);
      request.setRequestHeader("accept", "application/json");
      request.responseType = "json";
      request.upload.addEventListener("progress", (step) => { bar.value = Math.min(step.loaded, file.size); });
      request.addEventListener("loadend", () => resolve(request));
      request.send(body);
    });
    if (answer.status === 401) return end("wrong", form.dataset.saidEnded);
    if (answer.status !== 201) return end("wrong", answer.response?.refused ?? form.dataset.saidBroken);
    const known = await own;
    if (known && known !== answer.response.sha256) return end("wrong", form.dataset.saidOther);
    const hash = document.createElement("code");
    hash.textContent = answer.response.sha256;
    const open = document.createElement("a");
    open.href = answer.response.place;
    open.textContent = file.name;
    name.replaceChildren(open, ` · ${answer.response.size}`);
    end("good", known ? form.dataset.saidSealed : form.dataset.saidKept, " ", hash);
  }
}

// Of larger files the browser would have to hold everything in memory.
async function hashOf(file) {
  if (!globalThis.crypto?.subtle || file.size > 128 * 1024 * 1024) return null;
  try {
    const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
    return [...new Uint8Array(digest)].map((each) => each.toString(16).padStart(2, "0")).join("");
  } catch {
    return null;
  }
}
