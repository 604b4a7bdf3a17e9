// Makes reporting on a bad line bearable; the form works without it. Photos shrink before they
// travel, and one report is sent again under its key until an answer comes: the server files it once.
"use strict";
(() => {
  const form = document.getElementById("report");
  if (!form || !window.fetch || !window.FormData) return;
  const said = document.getElementById("said"), send = document.getElementById("send");
  const input = document.getElementById("photos"), previews = document.getElementById("previews");
  const words = form.dataset, most = Number(words.most) || 4;
  let shrunk = Promise.resolve([]);

  const shrink = async (file) => {
    try {
      const picture = await createImageBitmap(file, { imageOrientation: "from-image" });
      const scale = Math.min(1, 1600 / Math.max(picture.width, picture.height));
      if (scale === 1 && file.type === "image/jpeg" && file.size < 600000) return file;
      const canvas = document.createElement("canvas");
      canvas.width = Math.round(picture.width * scale);
      canvas.height = Math.round(picture.height * scale);
      canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
      const small = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.82));
      return small || file;
    } catch {
      return file; // The server says what is wrong with it.
    }
  };

  input.addEventListener("change", () => {
    previews.textContent = "";
    const files = [...input.files];
    input.setCustomValidity(files.length > most ? words.tooMany : "");
    if (files.length > most) { input.reportValidity(); return; }
    if (files.length) said.textContent = words.shrinking;
    shrunk = Promise.all(files.map(shrink)).then((photos) => {
      said.textContent = "";
      for (const photo of photos) {
        const image = new Image();
        image.alt = "";
        image.src = URL.createObjectURL(photo);
        previews.append(image);
      }
      return photos;
    });
  });

  const wait = (ms) => new Promise((done) => {
    const timer = setTimeout(done, ms);
    addEventListener("online", () => { clearTimeout(timer); done(); }, { once: true });
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    said.textContent = words.sending;
    const body = new FormData(form);
    body.delete("photos");
    (await shrunk).forEach((photo, at) => body.append("photos", photo, "photo" + (at + 1) + ".jpg"));
    for (let pause = 1000; ; pause = Math.min(pause * 2, 20000)) {
      try {
        const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "text/html" } });
        if (answer.redirected) { location.replace(answer.url); return; }
        if (answer.status < 500 && answer.status !== 429) {
          const page = new DOMParser().parseFromString(await answer.text(), "text/html");
          const wrong = page.getElementById("wrong");
          const old = document.getElementById("wrong");
          if (old) old.remove();
          if (wrong) { form.before(wrong); wrong.scrollIntoView({ block: "center" }); }
          said.textContent = wrong ? "" : words.stopped;
          send.disabled = false;
          return;
        }
        said.textContent = words.again;
      } catch {
        said.textContent = navigator.onLine ? words.again : words.offline;
      }
      await wait(pause);
    }
  });

  if (navigator.geolocation && window.isSecureContext) {
    const locate = document.getElementById("locate"), told = document.getElementById("position-said");
    locate.hidden = false;
    document.getElementById("use-position").addEventListener("click", () => {
      navigator.geolocation.getCurrentPosition(({ coords }) => {
        const values = { lon: coords.longitude, lat: coords.latitude, accuracy_m: Math.round(coords.accuracy) };
        for (const [name, value] of Object.entries(values)) {
          form.elements[name].value = value;
          form.elements[name].disabled = false;
        }
        told.textContent = words.located;
      }, () => { told.textContent = words.notLocated; }, { enableHighAccuracy: true, timeout: 15000 });
    });
  }
})();
