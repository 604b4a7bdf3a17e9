// Fitting a plate: on the cover it was made for, or binding a blank one to a surveyed cover.

import { findCover, worn } from "./covers.js";
import { choices, fill, h, link } from "./dom.js";
import { distance } from "./geo.js";
import { confirmButton, openForm, positionMissing, positionOf, redrawn, textField } from "./form.js";
import { deadEnd, shownOf, tokenText, warning } from "./parts.js";
import { photoFields } from "./photos.js";
import { coverFacts } from "./view_cover.js";
import { meters, t } from "./words.js";

const FAR_M = 30;

export async function fitView(main, token, id) {
  const cover = await findCover(id);
  if (!cover) return void fill(main, deadEnd(t("cover_unknown")));
  const form = await openForm(`fit:${token}:${id}`, { spot: "public", replace: null, far: false, note: "" });
  const { draft } = form;

  /** How far the phone stands from where the cover was surveyed, less what the fix may be wrong; 0 = near enough. */
  const farBy = () => {
    const position = positionOf(form);
    const away = position ? distance(position, cover) : 0;
    return away - (position?.accuracy_m ?? 0) > (form.me.rules?.far_m ?? FAR_M) ? away : 0;
  };
  const old = () => { const plate = worn(cover, draft.spot); return plate?.token === token ? null : plate; };

  const replaceBox = redrawn(() => {
    const plate = old();
    if (!plate) return null;
    return warning(h("p", {}, t("fit_wears"), " ", tokenText(plate.token)),
      choices("replace", t("fit_replace"), [["yes", t("fit_replace_yes")], ["no", t("fit_replace_no")]],
        draft.replace === null ? null : draft.replace ? "yes" : "no", (value) => { draft.replace = value === "yes"; form.keep(); }));
  });
  const farBox = redrawn(() => {
    const away = farBy();
    if (!away) return null;
    return warning(h("p", {}, t("fit_far", { meters: meters(away) })),
      choices("far", t("fit_far_which"), [["yes", t("fit_far_yes")], ["no", t("fit_far_no")]], draft.far ? "yes" : null, (value) => {
        draft.far = value === "yes";
        if (value === "no") location.hash = "#/plate/" + token;
      }));
  });
  const settled = form.position;
  const watchPosition = setInterval(() => {
    if (settled.settled && settled.value !== settled.seen) { settled.seen = settled.value; farBox.again(); }
  }, 300);

  const missing = () => positionMissing(form)
    ?? (draft.photos.some((photo) => photo.role === "plate") ? null : t("missing_plate_photo"))
    ?? (old() && draft.replace !== true ? t("missing_replace") : null)
    ?? (farBy() && !draft.far ? t("missing_far") : null);
  const make = () => ({
    cover: id,
    shown: shownOf(cover),
    body: {
      kind: "fit", token, cover: id, seen_version: cover.version, spot: draft.spot, replace: draft.replace === true,
      done_at: Date.now(), position: positionOf(form), note: draft.note.trim() || null,
    },
  });

  fill(main, h("h1", {}, t("fit_title")), h("p", {}, t("plate"), " ", tokenText(token)), form.left, coverFacts(cover),
    replaceBox.element, settled.element, farBox.element,
    photoFields(["cover", "surroundings", "plate"], draft.photos, form.keep, form.most),
    choices("spot", t("spot"), [["public", t("spot_public")], ["inner", t("spot_inner")]], draft.spot, (value) => {
      draft.spot = value;
      draft.replace = null;
      form.keep();
      replaceBox.again();
    }),
    textField(form, "note", t("note")),
    confirmButton(form, t("fit_confirm"), missing, make),
    link(t("cancel"), "#/plate/" + token, "quiet"));
  settled.begin();
  return () => { clearInterval(watchPosition); form.stop(); };
}
