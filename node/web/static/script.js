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
