// The file of one cover beside the map.

import { fill, h } from "/crew/dom.js";
import { abandon, ask, Superseded } from "./api.js";
import { showPlace } from "./place.js";
import { changed, listen, state } from "./state.js";
import { drawCover } from "./symbols.js";
import { t, word } from "./words.js";

function facts(cover) {
  const party = (one) => one && [one.name, one.hotline].filter(Boolean).join(" · ");
  const surveyed = cover.position.surveyed_at?.slice(0, 10);
  return [
    ["state", word("state", cover.state)], ["road", [cover.road, cover.address].filter(Boolean).join(" · ")],
    ["placement", cover.placement && word("placement", cover.placement)], ["load_class", cover.load_class], ["material", cover.material && word("material", cover.material)],
    ["owner", party(cover.owner)], ["maintainer", party(cover.maintainer)],
    ["method", [cover.position.method && word("position_method", cover.position.method), surveyed].filter(Boolean).join(" · ")],
  ].filter(([, value]) => value);
}

/** Builds the panel. `found(cover)` is called with the file that is open, null when none is. */
export function filePanel(found) {
  const body = h("div", { class: "panel-body" });
  const close = h("button", { type: "button", class: "quiet close", "aria-label": t("close"), onclick: () => { state.cover = null; changed("cover"); } }, "×");
  const title = h("h2", { tabindex: "-1" });
  const panel = h("section", { class: "file", "aria-label": t("file"), hidden: true }, h("div", { class: "file-top" }, title, close), body);
  let before = null, opener = null;

  async function show() {
    const code = state.cover;
    panel.hidden = code === null;
    if (code === before) return;
    before = code;
    if (code === null) {
      abandon("file");
      found(null);
      // Back to where it was opened from.
      (opener?.isConnected ? opener : document.querySelector(".scroller"))?.focus({ preventScroll: true });
      return;
    }
    if (!panel.contains(document.activeElement)) opener = document.activeElement;
    fill(title, h("span", { class: "code" }, code));
    fill(body, h("p", { class: "hint" }, t("waiting")));
    try {
      const cover = await ask("file", "/api/v1/covers/" + encodeURIComponent(code));
      const place = h("div", {});
      fill(body,
        h("p", { class: "kind" }, h("img", { src: drawCover(cover.class, cover.state).toDataURL(), alt: "", width: 26, height: 26 }), word("class", cover.class),
          cover.retired ? h("span", { class: "mark hot" }, t("retired")) : null),
        h("dl", { class: "facts" }, facts(cover).map(([name, value]) => h("div", {}, h("dt", {}, word("fact", name)), h("dd", {}, value)))),
        h("p", { class: "links" }, h("a", { class: "button main", href: "/covers/" + encodeURIComponent(code) }, t("whole_file"))),
        h("h3", {}, t("coordinates")), place);
      showPlace(place, cover.position.lon, cover.position.lat);
      found(cover);
      title.focus({ preventScroll: true });
    } catch (error) {
      if (error instanceof Superseded) return;
      fill(body, h("p", { class: "mark hot", role: "alert" }, error.message));
      // Chosen again it is asked for again.
      before = undefined;
    }
  }
  listen((what) => { if (what === "cover") show(); });
  return { element: panel, show };
}
