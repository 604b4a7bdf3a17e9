// Fills in where the phone is, where a form asks for it; the forms work without it. Nothing is asked before a tap.
"use strict";
(() => {
  if (!navigator.geolocation) return;
  for (const box of document.querySelectorAll("[data-locate]")) {
    const said = box.querySelector("[role=status]"), form = box.closest("form");
    box.hidden = false;
    box.querySelector("button").addEventListener("click", () => {
      said.textContent = box.dataset.asking;
      navigator.geolocation.getCurrentPosition((fix) => {
        const put = (name, value) => {
          const field = form.elements.namedItem(name);
          field.value = String(value);
          field.disabled = false;
        };
        put("lon", fix.coords.longitude);
        put("lat", fix.coords.latitude);
        put("accuracy_m", fix.coords.accuracy);
        said.textContent = box.dataset.located + " ± " + Math.round(fix.coords.accuracy) + " m";
        if ("thenSend" in form.dataset) form.submit();
      }, () => { said.textContent = box.dataset.failed; }, { enableHighAccuracy: true, timeout: 15000, maximumAge: 10000 });
    });
  }
})();
