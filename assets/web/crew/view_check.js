// Looking after plates: a spot check by scanning, and what became of a plate.

import { findCover, findStock, isDrawn } from "./covers.js";
import { button, fill, h, link } from "./dom.js";
import { confirmButton, openForm, positionMissing, positionOf, textField } from "./form.js";
import { here } from "./gnss.js";
import { deadEnd, shownOf, tokenText } from "./parts.js";
import { photoFields } from "./photos.js";
import { PhoneFull, enqueue } from "./queue.js";
import { coverFacts } from "./view_cover.js";
import { t } from "./words.js";

const FRESH_MS = 15_000;

/** The newest fix as a position, where it is of this place and not of the last one. */
function positionNow() {
  if (!here || Date.now() - here.at > FRESH_MS) return null;
  return { lon: here.lon, lat: here.lat, accuracy_m: here.accuracy_m, fixes: 1, taken_at: here.at };
}

/** "All as it should be", in one tap. */
export function quickCheck(token, cover) {
  const said = h("p", { class: "wrong", role: "alert", hidden: true });
  const tap = button(t("check_ok"), async () => {
    tap.disabled = true;
    try {
      const body = { kind: "check", token, cover: cover.cover, result: "ok", done_at: Date.now(), position: positionNow(), note: null };
      location.hash = "#/saved/" + await enqueue({ cover: cover.cover, shown: { ...shownOf(cover), result: "ok" }, body });
    } catch (error) {
      tap.disabled = false;
      said.hidden = false;
      said.textContent = t(error instanceof PhoneFull ? "phone_full" : "not_saved", { reason: String(error?.message ?? error) });
    }
  }, "main");
  return h("div", {}, said, tap);
}

/** A check that found something; `-` stands for a plate that could not be scanned. */
export async function checkForm(main, token, id, result) {
  const cover = await findCover(id);
  if (!cover) return void fill(main, deadEnd(t("cover_unknown")));
  const read = token === "-" ? null : token;
  if (isDrawn(cover)) return void location.replace(`#/drawn/${id}${read ? "/" + read : ""}`);
  const form = await openForm(`check:${id}:${result}`, { note: "" });
  fill(main, h("h1", {}, t("check_" + result)), read ? h("p", {}, t("plate"), " ", tokenText(read)) : null, form.left, coverFacts(cover),
    form.position.element, photoFields(["plate"], form.draft.photos, form.keep, form.most), textField(form, "note", t("note")),
    confirmButton(form, t("confirm"), () => positionMissing(form), () => ({
      cover: id,
      shown: { ...shownOf(cover), result },
      body: {
        kind: "check", ...(read ? { token: read } : {}), cover: id, result, done_at: Date.now(), position: positionOf(form),
        note: form.draft.note.trim() || null,
      },
    })),
    link(t("cancel"), "#/cover/" + id, "quiet"));
  form.position.begin();
  return form.stop;
}

/** A plate in the crew's hands that was damaged or lost before it was fitted. */
export async function plateForm(main, token, state) {
  const form = await openForm(`state:${token}:${state}`, { reason: "" });
  const stock = await findStock(token);
  fill(main, h("h1", {}, t("plate_is_" + state)), h("p", {}, t("plate"), " ", tokenText(token)), form.left,
    textField(form, "reason", t("plate_reason"), t("plate_reason_hint")),
    photoFields(["plate"], form.draft.photos, form.keep, form.most),
    confirmButton(form, t("confirm"), () => (form.draft.reason.trim() ? null : t("missing_reason")), () => ({
      cover: stock?.cover ?? null,
      shown: { title: token.match(/.{4}/g).join("-"), place: "", class: null },
      body: { kind: "plate", token, state, reason: form.draft.reason.trim(), done_at: Date.now(), position: positionNow() },
    })),
    link(t("cancel"), "#/plate/" + token, "quiet"));
  return form.stop;
}
