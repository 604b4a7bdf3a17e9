// The camera, and the field for a token that does not scan. What is read leads on at once.

import { recall } from "./db.js";
import { button, fill, h, link } from "./dom.js";
import { answer, findEntry } from "./queue.js";
import { readFile, watch } from "./scan.js";
import { readSymbol, readToken } from "./token.js";
import { refusal, t } from "./words.js";
import { warning } from "./parts.js";

/** Whose sentence stands above the picture: `cover` = a plate for this cover, `drawn` = the one that hangs on it, `survey` = for the new cover, `answer` = for a question. */
export async function scanView(main, purpose = "", subject = "") {
  const me = await recall("me");
  const hosts = [me?.host, location.host];
  const said = h("div", { role: "status" });
  const video = h("video", { playsinline: true, muted: true, "aria-label": t("scan_camera") });
  const controls = h("div", { class: "pair" });
  const field = h("input", {
    name: "token", autocomplete: "off", autocapitalize: "characters", spellcheck: "false", inputmode: "text",
    placeholder: "7K3Q-9XW2-M4AB", maxlength: "40", "aria-label": t("scan_type"),
  });
  let watching = null, left = false;

  async function lead(token) {
    // Browsers complain where nobody has touched the page yet.
    if (navigator.userActivation?.hasBeenActive) navigator.vibrate?.(60);
    if (purpose === "answer") {
      const entry = await findEntry(subject);
      if (entry?.state === "question") await answer(subject, { token });
      location.hash = "#/queue";
    } else if (purpose === "drawn") location.hash = `#/drawn/${subject}/${token}`;
    else if (purpose === "survey") location.hash = "#/survey/" + token;
    else location.hash = purpose === "cover" ? `#/plate/${token}/${subject}` : "#/plate/" + token;
  }

  /** What a symbol says; true = it is a plate and leads on. */
  async function take(text) {
    const read = readSymbol(text, hosts);
    if (read.token) {
      await lead(read.token);
      return true;
    }
    fill(said, warning(h("p", {}, read.foreign !== undefined ? t("scan_foreign", { where: read.foreign }) : refusal(read.code, read.values))));
    return false;
  }

  async function typed(event) {
    event.preventDefault();
    const read = readToken(field.value.trim());
    if (read.token) return lead(read.token);
    fill(said, warning(h("p", {}, refusal(read.code, read.values))));
    return field.focus();
  }

  async function fromFile(event) {
    const [file] = event.target.files;
    if (!file) return;
    try {
      const texts = await readFile(file);
      for (const text of texts) if (await take(text)) return;
      if (texts.length === 0) fill(said, warning(h("p", {}, t("scan_nothing"))));
    } catch {
      fill(said, warning(h("p", {}, t("scan_no_reader"))));
    }
  }

  fill(main, h("h1", {}, t(purpose === "cover" ? "scan_for_cover" : purpose === "survey" ? "scan_for_survey" : purpose === "answer" ? "scan_for_answer" : "scan_title")),
    h("div", { class: "camera" }, video), said, controls,
    h("form", { class: "typed", onsubmit: typed }, h("label", {}, t("scan_type"), field), h("button", { class: "main" }, t("scan_go"))),
    h("label", { class: "button camera" }, h("input", { type: "file", accept: "image/*", capture: "environment", class: "sr", onchange: fromFile }), h("span", {}, t("scan_photo"))),
    purpose ? null : link(t("survey_title"), "#/survey"));
  field.addEventListener("input", () => {
    const read = readToken(field.value.trim());
    if (read.token) fill(said, h("p", { class: "good" }, "✓ ", t("scan_checks")));
    else fill(said);
  });

  async function look() {
    try {
      watching = await watch(video, take);
      if (left) return watching.stop();
      let lit = false;
      fill(controls, watching.torch ? button(t("scan_torch"), () => watching.torch(lit = !lit)) : null);
    } catch (error) {
      video.hidden = true;
      fill(controls, h("p", { class: "hint" }, t(error?.name === "NotAllowedError" ? "scan_denied" : "scan_no_camera")));
    }
    return undefined;
  }
  look();
  return () => { left = true; watching?.stop(); };
}
