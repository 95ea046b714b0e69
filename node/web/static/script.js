// Every page works without this. It adds the keyboard's quick way out, live progress, and drafts that survive.

// Escape, three times within a second: leave.
let pressed = [];
addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  pressed = [...pressed.filter((time) => event.timeStamp - time < 1000), event.timeStamp];
  if (pressed.length >= 3) document.querySelector('form[action="/leave"]')?.submit();
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
      each.hidden = !line.total || (line.state !== "accepted" && line.state !== "shipped");
      if (line.total) { each.max = line.total; each.value = line.done; }
    }
    if (changed && news) news.textContent = line.told;
  });
  stream.addEventListener("over", () => stream.close());
  addEventListener("pagehide", () => stream.close());
}
