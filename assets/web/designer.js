// Draws the plate anew while the form is filled in; without it a button does.
"use strict";
(() => {
  const form = document.getElementById("designer");
  if (!form || !window.fetch || !window.DOMParser) return;
  let timer, round = 0;
  const look = async () => {
    const mine = ++round, fields = new FormData(form);
    fields.delete("csrf");
    const query = new URLSearchParams(fields);
    try {
      const answer = await fetch(form.action + "?" + query, { headers: { Accept: "text/html" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html"), fresh = page.getElementById("look");
      if (!fresh || mine !== round) return;
      document.getElementById("look").replaceWith(fresh);
      for (const beside of form.querySelectorAll(".beside")) {
        beside.textContent = page.getElementById(beside.id)?.textContent ?? "";
        if (beside.textContent) beside.closest("details")?.setAttribute("open", "");
      }
    } catch { /* No network: the button says so. */ }
  };
  form.addEventListener("input", (event) => {
    // Another face brings other fields, and another class its own colors.
    if (event.target.name === "face") { location.href = form.action + "?face=" + encodeURIComponent(event.target.value); return; }
    if (event.target.name === "class") for (const name of ["ground", "ink"]) form.elements[name].disabled = true;
    clearTimeout(timer);
    timer = setTimeout(event.target.name === "class" ? () => form.submit() : look, 300);
  });
})();
