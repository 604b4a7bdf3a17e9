// A cover that nobody has surveyed yet: what it is, where it lies, how it looks, and the plate it gets.

import { allCovers } from "./covers.js";
import { button, choices, fill, h, link } from "./dom.js";
import { distance } from "./geo.js";
import { confirmButton, openForm, positionMissing, positionOf, redrawn, textField } from "./form.js";
import { tokenText } from "./parts.js";
import { photoFields } from "./photos.js";
import { listed, t, word } from "./words.js";

const ROADS = 4;
const ROAD_REACH_M = 300;

/** Names of the roads around, nearest first. */
async function roadsNear(place) {
  const nearest = new Map();
  for (const cover of await allCovers()) {
    if (!cover.road) continue;
    const away = place ? distance(place, cover) : 0;
    if (away <= ROAD_REACH_M && away < (nearest.get(cover.road) ?? Infinity)) nearest.set(cover.road, away);
  }
  return [...nearest].sort((left, right) => left[1] - right[1]).slice(0, ROADS).map(([road]) => road);
}

export async function surveyView(main, token = "") {
  const form = await openForm("survey", { class: null, placement: null, road: "", address: "", token: null, spot: "public", note: "" }, { needed: true });
  const { draft, me } = form;
  if (token) {
    draft.token = token;
    await form.keep();
    // The draft knows it from now on; the address must not bring it back when it is taken out.
    history.replaceState(null, "", "#/survey");
  }
  const classes = me.classes?.map((entry) => entry.class) ?? listed("class");
  const road = h("input", { name: "road", maxlength: "100", autocomplete: "off" });
  road.value = draft.road;
  const setRoad = (name) => { road.value = name; draft.road = name; form.keep(); };
  road.addEventListener("change", () => setRoad(road.value.trim()));
  const roads = h("div", { class: "pair" });
  const offerRoads = async () => {
    const names = await roadsNear(positionOf(form));
    fill(roads, names.map((name) => button(name, () => setRoad(name), "quiet")));
  };
  const plateBox = redrawn(() => (draft.token
    ? [h("p", {}, t("plate"), " ", tokenText(draft.token)), button(t("survey_no_plate"), () => { draft.token = null; form.keep(); plateBox.again(); }, "quiet")]
    : [h("p", { class: "hint" }, t("survey_plate_hint")), link(t("survey_scan"), "#/scan/survey", "")]));

  const roles = ["cover", "surroundings", "plate"];
  const missing = () => (draft.class ? null : t("missing_class"))
    ?? positionMissing(form)
    ?? (draft.photos.some((photo) => photo.role === "cover") ? null : t("missing_cover_photo"))
    ?? (draft.photos.some((photo) => photo.role === "surroundings") ? null : t("missing_surroundings_photo"))
    ?? (!draft.token || draft.photos.some((photo) => photo.role === "plate") ? null : t("missing_plate_photo"));
  const make = () => ({
    shown: { title: t("survey_shown"), place: [draft.road, draft.address].filter(Boolean).join(" · "), class: draft.class },
    body: {
      kind: "survey", class: draft.class, placement: draft.placement, road: draft.road || null, address: draft.address.trim() || null,
      token: draft.token, spot: draft.spot, accuracy_accepted: form.position.accepted, nearby_seen: [],
      done_at: Date.now(), position: positionOf(form), note: draft.note.trim() || null,
    },
  });

  fill(main, h("h1", {}, t("survey_title")), form.left, form.position.element,
    choices("class", t("survey_class"), classes.map((name) => [name, word("class", name)]), draft.class, (value) => { draft.class = value; form.keep(); }),
    photoFields(roles, draft.photos, form.keep, form.most),
    h("label", {}, t("survey_road"), road), roads,
    textField(form, "address", t("survey_address"), t("survey_address_hint"), 1),
    choices("placement", t("survey_placement"), (me.placements ?? listed("placement")).map((name) => [name, word("placement", name)]), draft.placement, (value) => { draft.placement = value; form.keep(); }),
    h("h2", {}, t("survey_plate")), plateBox.element,
    textField(form, "note", t("note")),
    confirmButton(form, t("survey_confirm"), missing, make),
    link(t("cancel"), "#/list", "quiet"));
  form.position.begin();
  offerRoads();
  const again = setInterval(() => { if (form.position.settled && !roads.dataset.placed) { roads.dataset.placed = "yes"; offerRoads(); } }, 1000);
  return () => { clearInterval(again); form.stop(); };
}
