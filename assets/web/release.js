// Boxes are drawn over the photo; what is sent are the numbers in the fields, as without this script.
"use strict";
(() => {
  const stage = document.getElementById("cover-up"), form = document.getElementById("boxes");
  const rows = [...form.querySelectorAll(".box-row")];
  const sides = ["left", "top", "width", "height"];
  const field = (row, side) => row.querySelector(`[name$=_${side}]`);
  const marks = rows.map(() => {
    const mark = document.createElement("span");
    mark.className = "covered";
    mark.hidden = true;
    stage.append(mark);
    return mark;
  });
  const show = () => rows.forEach((row, at) => {
    const values = sides.map((side) => parseFloat(field(row, side).value));
    marks[at].hidden = values.some(Number.isNaN);
    sides.forEach((side, which) => { marks[at].style[side] = values[which] + "%"; });
    // One empty row is enough to go on with.
    const isEmpty = (row) => sides.every((side) => field(row, side).value === "");
    row.hidden = isEmpty(row) && rows.slice(0, at).some(isEmpty);
  });
  const put = (row, box) => {
    sides.forEach((side) => { field(row, side).value = box ? String(Math.round(box[side] * 100) / 100) : ""; });
    show();
  };
  document.getElementById("how").textContent = form.dataset.draw;
  rows.forEach((row) => {
    const clear = document.createElement("button");
    clear.type = "button";
    clear.className = "quiet";
    clear.textContent = form.dataset.clear;
    clear.addEventListener("click", () => put(row, null));
    row.append(clear);
    row.addEventListener("input", show);
  });
  let from = null, row = null;
  const at = (event) => {
    const frame = stage.getBoundingClientRect();
    const part = (place, start, length) => Math.min(100, Math.max(0, (place - start) / length * 100));
    return [part(event.clientX, frame.left, frame.width), part(event.clientY, frame.top, frame.height)];
  };
  const draw = (event) => {
    const to = at(event);
    put(row, {
      left: Math.min(from[0], to[0]), top: Math.min(from[1], to[1]),
      width: Math.abs(from[0] - to[0]), height: Math.abs(from[1] - to[1]),
    });
  };
  stage.addEventListener("pointerdown", (event) => {
    row = rows.find((row) => sides.every((side) => field(row, side).value === ""));
    if (!row) return;
    from = at(event);
    stage.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  stage.addEventListener("pointermove", (event) => { if (from) draw(event); });
  stage.addEventListener("pointerup", (event) => {
    if (!from) return;
    draw(event);
    // A tap is no box.
    if (parseFloat(field(row, "width").value) < 0.5 || parseFloat(field(row, "height").value) < 0.5) put(row, null);
    from = null;
  });
  show();
})();
