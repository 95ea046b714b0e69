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
