// The queue as people see it: what waits, what is being sent, what asks for a person, what arrived today.

import { recall } from "./db.js";
import { button, fill, h, link } from "./dom.js";
import { keeping, sure } from "./parts.js";
import { photoFields } from "./photos.js";
import { adopt, answer, discard, findEntry, isAsking, isOpen, listEntries, retry } from "./queue.js";
import { listen } from "./signal.js";
import { soon, status } from "./sync.js";
import { questionCard } from "./view_question.js";
import { clock, t, word } from "./words.js";

/** What an entry is, in two lines. */
function headOf(entry) {
  const { shown } = entry;
  return [h("p", { class: "row-name" }, h("b", {}, t("kind_" + entry.kind)), " ", shown.class ? word("class", shown.class) + " " : "",
    h("span", { class: "code" }, entry.answer?.cover?.code_groups ?? shown.title)),
  h("p", { class: "row-place" }, [shown.place, shown.hazard ? word("hazard", shown.hazard) : "",
    shown.result ? word("check_result", shown.result) : "", shown.found ? word("task_result", shown.found) : "", clock(entry.made_at),
    entry.photos.length ? t("queue_photos", { count: entry.photos.length }) : ""].filter(Boolean).join(" · "))];
}

function stateOf(entry) {
  if (entry.state === "sending" && status.busy) return status.percent === null ? t("state_sending") : t("state_sending_percent", { percent: status.percent });
  if (entry.state === "sending" || entry.state === "waiting") return entry.tries ? t("state_again", { tries: entry.tries }) : t("state_waiting");
  return t("state_" + entry.state);
}

/** Refusals that a photo taken now ends. */
const WANTS_PHOTO = ["action.fit_photo", "action.check_photo", "task.photo"];

/** Takes the photo that is missing, and sends the action again with it. */
function photoAgain(entry) {
  const taken = [], send = h("div", {});
  return [photoFields(["plate"], taken, () => fill(send, taken.length
    ? keeping(t("send_with_photo"), () => answer(entry.id, {}, taken), "main") : null), 1), send];
}

/** Something that a person has to look at. */
function needsCard(entry) {
  const photo = entry.problem.photo;
  return h("li", { class: "entry is-asking" }, headOf(entry),
    h("p", { class: "bad", role: "alert" }, entry.problem.detail ?? entry.problem.code ?? ""),
    WANTS_PHOTO.includes(entry.problem.code) ? photoAgain(entry) : keeping(t("send_again"), () => retry(entry.id), "main"),
    photo ? keeping(t("send_without_photo"), () => answer(entry.id, { photos: entry.body.photos.filter((kept) => kept.id !== photo) })) : null,
    sure(t("discard"), () => discard(entry.id), "discard " + entry.id));
}

function card(entry, me) {
  if (entry.state === "question") return h("li", { class: "entry is-asking" }, headOf(entry), questionCard(entry));
  if (entry.state === "needs_you") return needsCard(entry);
  const foreign = isOpen(entry) && entry.by && me?.user && entry.by !== me.user;
  return h("li", { class: "entry is-" + entry.state, "data-id": entry.id }, headOf(entry), h("p", { class: "state" }, stateOf(entry)),
    (entry.answer?.notices ?? []).map((notice) => h("p", { class: "hint" }, notice.text)),
    entry.answer?.case ? h("p", { class: "hint" }, t("answer_case", { number: entry.answer.case })) : null,
    foreign ? [h("p", { class: "bad" }, t("made_by_other", { name: entry.by_name ?? "" })), keeping(t("adopt", { name: me.name }), () => adopt(entry.id))] : null);
}

export async function queueView(main) {
  const lists = h("div", {});
  async function draw() {
    const [entries, me] = [await listEntries(), await recall("me")];
    const open = entries.filter(isOpen), asking = open.filter(isAsking);
    const waiting = open.filter((entry) => !asking.includes(entry));
    const settled = entries.filter((entry) => !isOpen(entry)).sort((left, right) => right.done_at - left.done_at);
    const section = (title, inside) => (inside.length === 0 ? null : [h("h2", {}, title, " ", h("b", {}, String(inside.length))),
      h("ul", { class: "entries" }, inside.map((entry) => card(entry, me)))]);
    fill(lists,
      open.length === 0 ? h("p", { class: "good big" }, "✓ ", t("queue_empty")) : h("p", {}, t("queue_safe", { count: open.length })),
      waiting.length ? button(status.busy ? t("queue_sending") : t("queue_send_now"), () => soon(), "main") : null,
      status.offline && waiting.length ? h("p", { class: "notice" }, t("queue_offline")) : null,
      section(t("queue_asking"), asking), section(t("queue_waiting"), waiting), section(t("queue_done"), settled));
  }
  fill(main, h("h1", {}, t("queue_title")), lists);
  await draw();
  return listen((what) => {
    // What a person is being asked stays under the thumb while something is sent.
    if (what === "queue" || (what === "sync" && !lists.querySelector("button.danger, .shot"))) draw();
  });
}

/** Said once an action is on disk, and not before. */
export async function savedView(main, id) {
  const box = h("div", { class: "saved" });
  async function draw() {
    const entry = await findEntry(id);
    if (!entry) return;
    fill(box, h("h1", {}, "✓ ", t("saved_here")), headOf(entry),
      h("p", { role: "status", class: "state" }, entry.state === "done" ? "✓ " + t("saved_sent") : isAsking(entry) ? t("bar_asks", { count: 1 }) : t("saved_waits")));
  }
  fill(main, box, h("div", { class: "actions" }, link(t("scan_next"), "#/scan", "main"), link(t("tab_list"), "#/list"), link(t("tab_queue"), "#/queue")));
  await draw();
  return listen((what) => { if (what === "queue") draw(); });
}
