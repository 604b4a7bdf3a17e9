// A conflict as a question: what this phone says and what the server knows now, side by side, and the ways on.

import { h, link } from "./dom.js";
import { offset } from "./geo.js";
import { keeping, sure } from "./parts.js";
import { answer, discard } from "./queue.js";
import { grouped } from "./token.js";
import { clock, meters, t, word } from "./words.js";

/** A version as lines of `[name, text]`. */
function ours(entry) {
  const { body, shown } = entry;
  return [
    ["cover_title", body.cover ? shown.title : null], ["class", body.class ? word("class", body.class) : shown.class ? word("class", shown.class) : null],
    ["place", shown.place || null], ["plate", body.token ? grouped(body.token) : null],
    ["result", body.result ? word("check_result", body.result) : null],
    ["found", body.found ? word("task_result", body.found) : null],
    ["position", body.position ? `± ${meters(body.position.accuracy_m)}` : null], ["at", clock(entry.made_at)],
  ];
}

function theirs(entry) {
  const { about, theirs: now, look, visit } = entry.problem;
  if (!now) return [];
  const cover = about === "plate" ? now.cover : now;
  const plates = (cover?.plates ?? []).filter((plate) => plate.state === "installed").map((plate) => grouped(plate.token));
  const away = cover && entry.body.position ? offset(entry.body.position, cover) : null;
  return [
    about === "plate" ? ["plate", `${grouped(now.token)} · ${word("plate_state", now.state)}`] : null,
    ["cover_title", cover ? cover.code_groups ?? cover.code : null], ["class", cover ? word("class", cover.class) : null],
    ["place", cover ? [cover.road, cover.address].filter(Boolean).join(" · ") : null],
    plates.length ? ["wears", plates.join(" ")] : null,
    look ? ["result", word("check_result", look.result)] : null,
    away ? ["away", meters(Math.hypot(away.east, away.north))] : null,
    look ? ["at", clock(look.at)] : null,
    visit ? ["found", word("task_result", visit.found)] : null,
    visit ? ["at", clock(visit.at)] : null,
  ].filter(Boolean);
}

/** Lists of words from which fields have their values. */
const WORDS = { class: "class", placement: "placement", state: "state" };

/** A value of a cover's file: a word, a place, or what was written. */
function valueOf(field, value) {
  if (value === null || value === undefined || value === "") return "–";
  if (Number.isFinite(value.lon) && Number.isFinite(value.lat)) return `${value.lon.toFixed(6)}, ${value.lat.toFixed(6)}`;
  if (typeof value === "object") return JSON.stringify(value);
  return WORDS[field] ? word(WORDS[field], value) : String(value);
}

function column(title, lines) {
  return h("section", { class: "version" }, h("h3", {}, title),
    h("dl", {}, lines.filter(([, text]) => text).map(([name, text]) => [h("dt", {}, t("version_" + name)), h("dd", {}, text)])));
}

/** What each choice of the contract sends. */
function choice(entry, name) {
  const { problem, body } = entry;
  const cover = problem.about === "plate" ? problem.theirs?.cover : problem.theirs;
  switch (name) {
    case "replace":
      return keeping(t("choice_replace"), () => answer(entry.id, { replace: true, seen_version: cover?.version ?? body.seen_version }), "main");
    case "again":
      return keeping(t("choice_again"), () => answer(entry.id, { seen_version: cover?.version ?? body.seen_version }), "main");
    case "other_plate":
      return link(t("choice_other_plate"), "#/scan/answer/" + entry.id, "main");
    case "new_cover":
      return keeping(t("choice_new_cover"), () => answer(entry.id, {
        nearby_seen: [...new Set([...(body.nearby_seen ?? []), ...(problem.nearby ?? [cover]).map((near) => near.cover)])],
      }));
    case "mine_counts":
      return keeping(t("choice_mine_counts"), () => answer(entry.id, { mine_counts: true }), "main");
    case "as_report":
      return keeping(t("choice_as_report"), () => answer(entry.id, {
        kind: "report", task: undefined, found: undefined, checklist: undefined, mine_counts: undefined,
      }), "main");
    default:
      return null;
  }
}

/** Which of the covers nearby is the one: with a plate it is fitted there, without one the survey was not needed. */
function sameCover(entry) {
  const { body, problem } = entry;
  return (problem.nearby ?? [problem.theirs]).filter(Boolean).map((cover) => {
    const label = t("choice_same_cover", { code: cover.code_groups ?? cover.code ?? "" });
    if (!body.token) return sure(label, () => discard(entry.id), `same ${entry.id} ${cover.cover}`);
    return keeping(label, () => answer(entry.id, {
      kind: "fit", token: body.token, cover: cover.cover, seen_version: cover.version, spot: body.spot, replace: false,
      class: undefined, placement: undefined, road: undefined, address: undefined, accuracy_accepted: undefined, nearby_seen: undefined,
    }), "main");
  });
}

/** A question with its ways on; the last is to throw the action away. */
export function questionCard(entry) {
  const { problem } = entry;
  return [h("p", { class: "bad", role: "alert" }, problem.detail ?? problem.code),
    (problem.changes ?? []).length ? h("ul", {}, problem.changes.map((change) =>
      h("li", {}, t("version_changed", { field: word("fact", change.field), before: valueOf(change.field, change.before), after: valueOf(change.field, change.after) })))) : null,
    h("div", { class: "versions" }, column(t("version_ours"), ours(entry)), column(t("version_theirs"), theirs(entry))),
    problem.choices.includes("same_cover") ? sameCover(entry) : null,
    problem.choices.filter((name) => name !== "same_cover").map((name) => choice(entry, name)),
    sure(t("discard"), () => discard(entry.id), "discard " + entry.id)];
}
