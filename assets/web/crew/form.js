// What the forms of the crew share: a draft that survives, a position, a button that says what is missing.

import { recall } from "./db.js";
import { button, fill, h } from "./dom.js";
import { dropDraft, keepDraft, openDraft } from "./drafts.js";
import { positionField } from "./parts.js";
import { PhoneFull, enqueue } from "./queue.js";
import { clock, t } from "./words.js";

/** Degrees around the city's covers in which a new one may lie; a receiver that says another country is wrong. */
const MARGIN = 0.1;
const around = (bounds) => (bounds ? [bounds[0] - MARGIN, bounds[1] - MARGIN, bounds[2] + MARGIN, bounds[3] + MARGIN] : null);

/**
 * Opens a form: `{draft, me, left, keep, position, stop}`; `fresh` is what a new draft begins with, `left` says that the form
 * goes on where it was left.
 */
export async function openForm(key, fresh, { needed = false } = {}) {
  const me = (await recall("me")) ?? {};
  const draft = await openDraft(key, fresh);
  const said = h("p", { class: "wrong", role: "alert", hidden: true });
  const complain = (sentence) => { said.textContent = sentence; said.hidden = !sentence; if (sentence) said.scrollIntoView({ block: "center" }); };
  const keep = async () => { if (!(await keepDraft(draft))) complain(t("phone_full")); };
  const giveUp = needed ? async () => { await dropDraft(key); location.hash = "#/list"; } : null;
  const position = positionField({ gate_m: me.accuracy_gate_m ?? 10, bounds: around(me.bounds), giveUp, onchange: () => complain("") });
  const anew = async () => { await dropDraft(key); dispatchEvent(new HashChangeEvent("hashchange")); };
  const left = draft.kept ? h("div", { class: "notice" }, h("p", {}, t("draft_kept", { time: clock(draft.kept) })), button(t("draft_new"), anew, "quiet")) : null;
  return { key, draft, me, left, keep, position, said, complain, most: me.rules?.photos_per_action ?? 8, stop: () => position.stop() };
}

/** The position as the server takes it. */
export const positionOf = (form) => form.position.value;

/** The button that confirms: `missing()` gives the sentence of what is not there yet, `make()` the action. */
export function confirmButton(form, label, missing, make) {
  const confirm = button(label, async () => {
    const lacks = missing();
    if (lacks) return form.complain(lacks);
    confirm.disabled = true;
    try {
      const id = await enqueue({ ...make(), photos: form.draft.photos, draft: form.key });
      form.stop();
      location.replace("#/saved/" + id);
    } catch (error) {
      confirm.disabled = false;
      form.complain(t(error instanceof PhoneFull ? "phone_full" : "not_saved", { reason: String(error?.message ?? error) }));
    }
    return undefined;
  }, "main confirm");
  return h("div", { class: "confirm-box" }, form.said, confirm);
}

/** What is missing of a position. */
export const positionMissing = (form) => (form.position.settled ? null : t("missing_position"));

/** A text field that goes into the draft. */
export function textField(form, name, label, hint = null, rows = 2) {
  const field = h("textarea", { name, rows: String(rows), maxlength: "500" });
  field.value = form.draft[name] ?? "";
  field.addEventListener("input", () => { form.draft[name] = field.value; });
  field.addEventListener("change", form.keep);
  return h("label", {}, label, hint ? h("small", {}, hint) : null, field);
}

/** Fields around an element that is drawn anew. */
export const redrawn = (draw) => {
  const box = h("div", {});
  const again = () => fill(box, draw());
  again();
  return { element: box, again };
};
