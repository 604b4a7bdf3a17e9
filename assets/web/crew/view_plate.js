// What a scan leads to: the one thing that is most likely to be done with this plate, in one tap.

import { NoAnswer, Refused } from "./api.js";
import { allCovers, askPlate, findByToken, findCover, findStock, isDrawn, keepCover, standing } from "./covers.js";
import { fill, h, link } from "./dom.js";
import { follow } from "./gnss.js";
import { byDistance, coverRow, tokenText, warning } from "./parts.js";
import { quickCheck } from "./view_check.js";
import { coverFacts } from "./view_cover.js";
import { t, word } from "./words.js";

const NEAREST = 8;

/** What is known of a plate: `{state, cover, from: "package" | "stock" | "server" | "nobody", sentence}`. */
async function lookUp(token) {
  const cover = await findByToken(token);
  if (cover) {
    const plate = cover.plates.find((known) => known.token === token);
    const mine = cover.mine?.token === token;
    return { cover, state: mine ? "installed" : plate?.state ?? "issued", from: "package" };
  }
  const stock = await findStock(token);
  if (stock) return { cover: stock.cover ? await findCover(stock.cover) : null, state: stock.state, bound: Boolean(stock.cover), from: "stock" };
  try {
    const told = await askPlate(token);
    if (told.cover) await keepCover(told.cover);
    const kept = told.cover ? await findCover(told.cover.cover) : null;
    return { cover: kept, state: told.state, successor: told.successor, bound: Boolean(told.cover), from: "server" };
  } catch (error) {
    if (error instanceof Refused) return { from: "nobody", sentence: error.problem.detail };
    if (error instanceof NoAnswer) return { cover: null, state: null, from: "nobody" };
    return { cover: null, state: null, from: "nobody" };
  }
}

export async function plateView(main, token, forCover = "") {
  fill(main, h("h1", {}, t("plate")), h("p", {}, tokenText(token)), h("p", { role: "status" }, t("plate_looking")));
  const plate = await lookUp(token);
  const head = (title) => [h("h1", {}, title), h("p", {}, tokenText(token), plate.state ? " " + word("plate_state", plate.state) : "")];
  if (plate.sentence || plate.state === "replaced" || plate.state === "revoked") {
    const successor = plate.successor ? h("p", {}, t("plate_successor"), " ", tokenText(plate.successor)) : null;
    fill(main, head(t("plate")), warning(h("p", {}, plate.sentence ?? t("plate_withdrawn")), successor), link(t("scan_again"), "#/scan", "main"));
    return undefined;
  }
  if (plate.cover) return knownPlate(main, token, plate, forCover, head);
  if (forCover) {
    location.replace(`#/fit/${token}/${forCover}`);
    return undefined;
  }
  return blankPlate(main, token, plate, head);
}

function knownPlate(main, token, plate, forCover, head) {
  const id = plate.cover.cover;
  const facts = h("div", {}, coverFacts(plate.cover));
  const other = forCover && forCover !== id ? warning(h("p", {}, t("plate_of_other"))) : null;
  if (!other && forCover && plate.state !== "installed") {
    location.replace(`#/fit/${token}/${id}`);
    return undefined;
  }
  const fitted = plate.state === "installed";
  if (isDrawn(plate.cover) && !forCover && ["installed", "damaged", "lost"].includes(plate.state)) {
    location.replace(`#/drawn/${id}/${token}`);
    return undefined;
  }
  fill(main, head(t(fitted ? "plate_fitted" : "plate_meant")), other, facts,
    h("div", { class: "actions" }, fitted
      ? [quickCheck(token, plate.cover),
        link(t("report_title"), "#/report/" + id),
        link(t("check_damaged"), `#/check/${token}/${id}/damaged`),
        // Where somebody stands at another cover, that one is the cover which wears a wrong plate.
        link(t("check_wrong_plate"), `#/check/${token}/${other ? forCover : id}/wrong_plate`)]
      : [link(t("fit_here"), `#/fit/${token}/${id}`, "main"),
        link(t("report_title"), "#/report/" + id),
        stateLinks(token)]));
  return follow((fix) => { if (fix) fill(facts, coverFacts(plate.cover, fix)); });
}

const stateLinks = (token) => h("div", { class: "pair" },
  link(t("plate_is_damaged"), `#/state/${token}/damaged`, "quiet"), link(t("plate_is_lost"), `#/state/${token}/lost`, "quiet"));

async function blankPlate(main, token, plate, head) {
  const open = (await allCovers()).filter((cover) => standing(cover) === "planned" || standing(cover) === "problem");
  const list = h("ul", { class: "rows" });
  const draw = (from) => fill(list, byDistance(open, from).slice(0, NEAREST).map((cover) => coverRow(cover, from, `#/fit/${token}/${cover.cover}`)));
  fill(main, head(t("plate_blank")),
    plate.bound ? warning(h("p", {}, t("plate_bound_elsewhere"))) : null,
    plate.from === "nobody" ? h("p", { class: "notice" }, t("plate_unknown_here")) : null,
    h("h2", {}, t("plate_choose_cover")), list,
    open.length === 0 ? h("p", {}, t("plate_no_cover")) : null,
    link(t("survey_with_plate"), "#/survey/" + token, "main"),
    stateLinks(token));
  draw(null);
  return follow((fix) => { if (fix) draw(fix); });
}
