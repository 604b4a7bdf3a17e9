// The rest: who is logged in, plates in hand, room on this phone.

import { LoggedOut, NoAnswer } from "./api.js";
import { DRAWN, downloadStock, listPackages, listStock } from "./covers.js";
import { recall } from "./db.js";
import { button, fill, h, link } from "./dom.js";
import { tokenText } from "./parts.js";
import { countOpen } from "./queue.js";
import { t, word } from "./words.js";

const SHOWN = 100;
const megabytes = (bytes) => (bytes / 1_000_000).toFixed(1);

export async function moreView(main) {
  const [me, packages, { open }] = [await recall("me"), (await listPackages()).filter((wish) => wish.id !== DRAWN), await countOpen()];
  const stock = h("div", {}), said = h("p", { role: "status" });
  const drawStock = async () => {
    const plates = await listStock();
    fill(stock, h("p", {}, t("stock_count", { count: plates.length, blank: plates.filter((plate) => !plate.cover).length })),
      plates.length ? h("details", {}, h("summary", {}, t("stock_show")), h("ul", { class: "rows" }, plates.slice(0, SHOWN).map((plate) => h("li", {},
        h("a", { class: "row", href: "#/plate/" + plate.token }, tokenText(plate.token), h("span", { class: "row-place" }, plate.code ?? t("plate_blank")))))),
      plates.length > SHOWN ? h("p", {}, t("packages_more", { count: plates.length - SHOWN })) : null) : null);
  };
  const refresh = async () => {
    try {
      said.textContent = t("stock_fetched", { count: await downloadStock() });
      await drawStock();
    } catch (error) {
      said.textContent = error instanceof NoAnswer ? t("packages_offline") : error instanceof LoggedOut ? t("log_in_first") : error.problem?.detail ?? String(error);
    }
  };
  const { quota, usage } = (await navigator.storage?.estimate?.()) ?? {};
  const persisted = await navigator.storage?.persisted?.();
  fill(main, h("h1", {}, t("tab_more")),
    h("h2", {}, t("packages_title")), h("p", {}, t("packages_count", { count: packages.length })), link(t("packages_choose"), "#/packages", "main"),
    h("p", {}, h("a", { class: "button", href: "/map?panel=questions&ask=tour%3Fcrew%3Dme" }, t("tour_on_map"))),
    h("h2", {}, t("stock_title")), stock, button(t("stock_fetch"), refresh), said,
    h("h2", {}, t("account")), me ? h("p", {}, me.name, " · ", word("role", me.role)) : h("p", {}, t("log_in_first")),
    h("a", { class: "button", href: "/login?next=/crew" }, me ? t("log_in_again") : t("log_in")),
    open ? h("p", { class: "hint" }, t("log_in_keeps", { count: open })) : null,
    h("h2", {}, t("room")),
    quota ? h("p", {}, t("room_used", { used: megabytes(usage), free: megabytes(quota - usage) })) : null,
    h("p", {}, persisted ? t("room_kept") : t("room_not_kept")),
    persisted ? null : button(t("room_ask"), async () => {
      said.textContent = (await navigator.storage?.persist?.()) ? t("room_kept") : t("room_refused");
    }),
    h("p", { class: "hint" }, t("install_hint")));
  await drawStock();
}
