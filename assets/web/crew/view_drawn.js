// 抽查: a look at a plate on which the lot fell. What is found is one of few things; anything but "as it should be" has a photo.

import { findCover, isDrawn } from "./covers.js";
import { choices, fill, h, link } from "./dom.js";
import { confirmButton, openForm, positionMissing, positionOf, redrawn, textField } from "./form.js";
import { deadEnd, shownOf, tokenText, warning } from "./parts.js";
import { photoFields } from "./photos.js";
import { coverFacts } from "./view_cover.js";
import { clock, label, t } from "./words.js";

/** What can be found: with the cover's own plate in front of the camera, with another one, with none. */
const FOUND = { own: ["ok", "damaged", "unreadable", "wrong_plate"], other: ["wrong_plate"], none: ["missing", "unreadable"] };

export async function drawnView(main, id, token = "") {
  const cover = await findCover(id);
  if (!cover) return void fill(main, deadEnd(t("cover_unknown")));
  if (!isDrawn(cover)) return void fill(main, deadEnd(t("drawn_over")));
  const draw = cover.spot_check;
  const form = await openForm("drawn:" + id, { token: null, result: null, note: "" });
  const { draft } = form;
  const isOwn = draw.token === token || cover.plates.some((plate) => plate.token === token);
  const found = FOUND[token ? isOwn ? "own" : "other" : "none"];
  if (draft.token !== (token || null) || !found.includes(draft.result))
    Object.assign(draft, { token: token || null, result: token ? found[0] : null });

  const wanted = h("p", {}, t("drawn_plate"), " ", tokenText(draw.token), " ", t("drawn_at", { time: clock(draw.drawn_at) }));
  const seen = () => {
    if (!token) return [wanted, link(t("drawn_scan"), "#/scan/drawn/" + id, "main"), h("p", { class: "hint" }, t("drawn_cannot"))];
    if (!isOwn) return [wanted, warning(h("p", {}, t("drawn_other"), " ", tokenText(token)))];
    const same = token === draw.token;
    return [same ? null : wanted, h("p", { class: "good" }, "✓ ", t(same ? "drawn_fits" : "drawn_successor"), " ", tokenText(token),
      same ? " " + t("drawn_at", { time: clock(draw.drawn_at) }) : "")];
  };
  const photos = redrawn(() => [photoFields([draft.result === "missing" ? "cover" : "plate"], draft.photos, form.keep, form.most)]);
  const missing = () => (draft.result ? null : t("missing_result"))
    ?? (draft.result === "ok" || draft.photos.length > 0 ? null : t("missing_check_photo"))
    ?? positionMissing(form);
  const make = () => ({
    cover: id,
    shown: { ...shownOf(cover), result: draft.result },
    body: {
      kind: "check", ...(token ? { token } : {}), cover: id, result: draft.result, spot_check: draw.id,
      done_at: Date.now(), position: positionOf(form), note: draft.note.trim() || null,
    },
  });

  fill(main, h("h1", {}, t("drawn_title")), form.left, coverFacts(cover),
    seen(),
    choices("result", t("drawn_result"), found.map((name) => [name, label("check_result", name)]), draft.result, (value) => {
      draft.result = value;
      form.keep();
      photos.again();
    }),
    form.position.element, photos.element, textField(form, "note", t("note")),
    confirmButton(form, t("confirm"), missing, make),
    link(t("drawn_more"), "#/cover/" + id, "quiet"), link(t("cancel"), "#/list", "quiet"));
  form.position.begin();
  return form.stop;
}
