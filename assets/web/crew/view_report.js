// 即查即改: a hazard reported, and repaired at once where that can be done; photos before and after tell which.

import { findCover } from "./covers.js";
import { choices, fill, h, link } from "./dom.js";
import { confirmButton, openForm, positionMissing, positionOf, textField } from "./form.js";
import { deadEnd, shownOf } from "./parts.js";
import { photoFields } from "./photos.js";
import { coverFacts } from "./view_cover.js";
import { listed, t, word } from "./words.js";

export async function reportView(main, id) {
  const cover = await findCover(id);
  if (!cover) return void fill(main, deadEnd(t("cover_unknown")));
  const form = await openForm("report:" + id, { hazard: null, fixed: null, description: "" });
  const { draft } = form;
  const has = (role) => draft.photos.some((photo) => photo.role === role);
  const missing = () => (draft.hazard ? null : t("missing_hazard"))
    ?? (draft.fixed === null ? t("missing_fixed") : null)
    ?? (has("before") ? null : t("missing_before"))
    ?? (draft.fixed && !has("after") ? t("missing_after") : null)
    ?? positionMissing(form);
  const make = () => {
    // A photo "after" of something that was not repaired says the wrong thing.
    if (!draft.fixed) draft.photos = draft.photos.filter((photo) => photo.role !== "after");
    return {
      cover: id,
      shown: { ...shownOf(cover), hazard: draft.hazard },
      body: {
        kind: draft.fixed ? "fix" : "report", cover: id, hazard: draft.hazard, description: draft.description.trim() || null,
        done_at: Date.now(), position: positionOf(form),
      },
    };
  };
  const photos = h("div", {});
  const drawPhotos = () => fill(photos, photoFields(draft.fixed ? ["before", "after"] : ["before"], draft.photos, form.keep, form.most));
  const hazards = form.me.hazards?.map((entry) => entry.hazard) ?? listed("hazard");
  fill(main, h("h1", {}, t("report_title")), form.left, coverFacts(cover), h("p", { class: "notice" }, t("report_danger")),
    choices("hazard", t("report_hazard"), hazards.map((name) => [name, word("hazard", name)]), draft.hazard, (value) => { draft.hazard = value; form.keep(); }),
    choices("fixed", t("report_fixed"), [["yes", t("report_fixed_yes")], ["no", t("report_fixed_no")]],
      draft.fixed === null ? null : draft.fixed ? "yes" : "no", (value) => { draft.fixed = value === "yes"; form.keep(); drawPhotos(); }),
    photos, textField(form, "description", t("report_description")), form.position.element,
    confirmButton(form, t("report_confirm"), missing, make),
    link(t("cancel"), "#/cover/" + id, "quiet"));
  drawPhotos();
  form.position.begin();
  return form.stop;
}
