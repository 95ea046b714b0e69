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
