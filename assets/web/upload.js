// Sends a census file in pieces and goes on after a broken network, also when the page was closed
// meanwhile; the form works without it.
"use strict";
(() => {
  const form = document.getElementById("upload");
  if (!form || !window.fetch || !window.FormData) return;
  const said = document.getElementById("upload-said"), button = form.querySelector("button.main");
  const words = form.dataset, PIECE = 4 << 20;
  const headers = { "X-Csrf-Token": form.elements.csrf.value, Accept: "application/json" };
  const wait = (ms) => new Promise((done) => {
    const timer = setTimeout(done, ms);
    addEventListener("online", () => { clearTimeout(timer); done(); }, { once: true });
  });
  const recall = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const remember = (key, id) => { try { id ? localStorage.setItem(key, id) : localStorage.removeItem(key); } catch { /* Then it begins anew. */ } };

  // Asks until there is an answer; what the server refuses is for the caller to read.
  const ask = async (path, how) => {
    for (let pause = 1000; ; pause = Math.min(pause * 2, 20000)) {
      try {
        const answer = await fetch(path, { ...how, headers: { ...headers, ...(how.headers || {}) } });
        const told = await answer.json().catch(() => ({}));
        if (answer.status < 500 && answer.status !== 429) return { ok: answer.ok, status: answer.status, told };
        said.textContent = words.again;
      } catch {
        said.textContent = navigator.onLine ? words.again : words.offline;
        if (how.method === "PUT") return { ok: false, status: 409, told: {}, pause };
      }
      await wait(pause);
    }
  };

  form.addEventListener("submit", async (event) => {
    const file = form.elements.file.files[0];
    if (!file) return;
    event.preventDefault();
    button.disabled = true;
    const fields = new FormData(form);
    const wishes = {};
    for (const name of ["profile", "source", "crs", "encoding", "layer"]) if (fields.get(name)) wishes[name] = fields.get(name);
    wishes.full = fields.has("full");
    const key = "lidmark-upload:" + [file.name, file.size, file.lastModified, JSON.stringify(wishes)].join(":");
    const stop = (told) => { said.textContent = told.detail || words.stopped; button.disabled = false; };
    let upload = null;
    const known = recall(key);
    if (known) {
      const { ok, told } = await ask("/api/v1/uploads/" + known, {});
      if (ok && told.state === "receiving") upload = told;
    }
    if (!upload) {
      const { ok, told } = await ask("/api/v1/uploads", {
        method: "POST", headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ name: file.name, size: file.size, ...wishes }),
      });
      if (!ok) return stop(told);
      upload = told;
      remember(key, upload.id);
    }
    const path = "/api/v1/uploads/" + upload.id;
    while (upload.received < file.size) {
      said.textContent = words.sending.replace("{percent}", Math.floor(100 * upload.received / file.size));
      const piece = file.slice(upload.received, upload.received + PIECE);
      const sent = await ask(path + "?offset=" + upload.received, { method: "PUT", headers: { "Content-Type": "application/octet-stream" }, body: piece });
      if (sent.ok) { upload = sent.told; continue; }
      if (sent.status !== 409) return stop(sent.told);
      // A part of it may have arrived: go on from there.
      await wait(1000);
      const found = await ask(path, {});
      if (!found.ok) { remember(key, null); return stop(found.told); }
      upload = found.told;
    }
    remember(key, null);
    location.assign(upload.page);
  });
})();
