// 任务: one visit to one cover. What was found comes first; the checklist is asked where somebody could look.

import { findCover, openTasks } from "./covers.js";
import { choices, fill, h, link } from "./dom.js";
import { confirmButton, openForm, positionMissing, positionOf, redrawn, textField } from "./form.js";
import { deadEnd, shownOf } from "./parts.js";
import { photoFields } from "./photos.js";
import { coverFacts } from "./view_cover.js";
import { clock, label, listed, spoken, t, word } from "./words.js";

const isTrouble = (found) => found === "hazard" || found === "recurred";
const isSeen = (found) => found !== "gone" && found !== "no_access";

/** How a task is called: what it is, and the campaign that asks for it. */
export const taskName = (task) => (task.name ? t("task_name", { kind: word("task_kind", task.kind), name: task.name }) : word("task_kind", task.kind));

/** A question in the language of the page. */
const textOf = (question) => (spoken() === "en" && question.text_en) || question.text;

/** A field for one question; what is answered goes into the draft. */
function questionField(form, question) {
  const said = form.draft.checklist;
  const title = textOf(question) + (question.optional ? " " + t("task_optional") : "");
  const say = (value) => {
    if (value === null) delete said[question.id];
    else said[question.id] = value;
  };
  const keep = (value) => { say(value); form.keep(); };
  if (question.kind === "yes_no") {
    return choices("q-" + question.id, title, [["yes", t("task_yes")], ["no", t("task_no")]],
      question.id in said ? (said[question.id] ? "yes" : "no") : null, (value) => keep(value === "yes"));
  }
  if (question.kind === "choice")
    return choices("q-" + question.id, title, question.choices.map((choice) => [choice, choice]), said[question.id], keep);
  const number = question.kind === "number";
  const field = number
    ? h("input", { name: "q-" + question.id, type: "number", inputmode: "decimal", step: "any", min: question.least, max: question.most })
    : h("textarea", { name: "q-" + question.id, rows: "2", maxlength: "500" });
  field.value = said[question.id] ?? "";
  field.addEventListener("input", () => {
    const text = field.value.trim();
    say(text === "" ? null : number ? Number(text) : text);
  });
  field.addEventListener("change", form.keep);
  const bounds = question.least !== undefined && question.most !== undefined;
  const hint = bounds ? t("task_number", { least: question.least, most: question.most, unit: question.unit ?? "" }) : question.unit;
  return h("label", {}, title, hint ? h("small", {}, hint) : null, field);
}

/** Whether an answer is one that the server takes. */
function fits(question, answer) {
  if (question.kind !== "number") return true;
  return Number.isFinite(answer) && !(answer < question.least) && !(answer > question.most);
}

export async function taskView(main, id, taskId) {
  const cover = await findCover(id);
  if (!cover) return void fill(main, deadEnd(t("cover_unknown")));
  const task = openTasks(cover).find((open) => open.id === taskId);
  if (!task) return void fill(main, deadEnd(t("task_gone")));
  const form = await openForm("task:" + taskId, { found: null, hazard: null, checklist: {}, description: "", note: "" });
  const { draft } = form;
  const questions = task.questions ?? [];
  const results = [...(task.kind === "look_back" ? ["holds", "recurred"] : ["fine", "hazard"]), "gone", "no_access"];
  const hazard = () => (task.kind === "look_back" ? task.hazard : draft.hazard);

  const asked = redrawn(() => {
    if (!draft.found) return [];
    const more = [];
    if (draft.found === "hazard") {
      const hazards = form.me.hazards?.map((entry) => entry.hazard) ?? listed("hazard");
      more.push(choices("hazard", t("task_hazard"), hazards.map((name) => [name, word("hazard", name)]), draft.hazard,
        (value) => { draft.hazard = value; form.keep(); }));
    }
    if (isTrouble(draft.found)) more.push(textField(form, "description", t("task_description")));
    if (isSeen(draft.found)) more.push(...questions.map((question) => questionField(form, question)));
    return [...more, photoFields([isTrouble(draft.found) ? "before" : "cover"], draft.photos, form.keep, form.most)];
  });
  const unanswered = () => {
    if (!isSeen(draft.found)) return null;
    const open = questions.find((question) => (question.id in draft.checklist ? !fits(question, draft.checklist[question.id]) : !question.optional));
    return open ? t("missing_answer", { question: textOf(open) }) : null;
  };
  const missing = () => (draft.found ? null : t("missing_found"))
    ?? (draft.found === "hazard" && !draft.hazard ? t("missing_hazard") : null)
    ?? unanswered()
    ?? ((isTrouble(draft.found) || draft.found === "gone") && draft.photos.length === 0 ? t("missing_task_photo") : null)
    ?? (draft.found === "no_access" && !draft.note.trim() ? t("missing_task_note") : null)
    ?? positionMissing(form);
  const make = () => {
    const trouble = isTrouble(draft.found);
    const told = draft.description.trim() || (task.case ? t("task_again", { number: task.case }) : "");
    return {
      cover: id,
      shown: { ...shownOf(cover), found: draft.found, hazard: trouble ? hazard() : null },
      body: {
        kind: "task", task: taskId, cover: id, found: draft.found,
        checklist: isSeen(draft.found) ? { ...draft.checklist } : {},
        ...(trouble ? { hazard: hazard(), description: told || null } : {}),
        done_at: Date.now(), position: positionOf(form), note: draft.note.trim() || null,
      },
    };
  };

  fill(main, h("h1", {}, t("task_title")), form.left,
    h("p", { class: "notice" }, h("b", {}, taskName(task)), " · ", t("task_due", { time: clock(task.due_at) }),
      task.case ? [h("br"), t("task_look_back", { number: task.case, hazard: word("hazard", task.hazard) })] : null),
    coverFacts(cover),
    choices("found", t("task_found"), results.map((name) => [name, label("task_result", name)]), draft.found, (value) => {
      draft.found = value;
      form.keep();
      asked.again();
    }),
    asked.element, form.position.element, textField(form, "note", t("task_note")),
    confirmButton(form, t("confirm"), missing, make),
    link(t("cancel"), "#/cover/" + id, "quiet"));
  form.position.begin();
  return form.stop;
}
