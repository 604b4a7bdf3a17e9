// Draws the map: covers by shape and color, the names of their roads, the phone's own place, a scale.

import { standing } from "./covers.js";
import { offset } from "./geo.js";
import { meters } from "./words.js";

const INK = "#10161d", PAPER = "#f4f6f8", PLANNED = "#0b4a8f", FITTED = "#0b5a2b", PROBLEM = "#a3000f", HERE = "#7a4a00", DRAWN = "#59207f", TASK = "#00535c";
const NAMES_FROM_PX = 70;

/** Circle = planned, square = fitted, triangle = problem, diamond = done here and not yet sent, target = drawn for a spot check,
 * hollow diamond = a task. */
function mark(pen, is, x, y, r) {
  pen.beginPath();
  if (is === "planned" || is === "drawn") pen.arc(x, y, r, 0, 2 * Math.PI);
  else if (is === "fitted") pen.rect(x - r * 0.9, y - r * 0.9, r * 1.8, r * 1.8);
  else if (is === "problem") { pen.moveTo(x, y - r * 1.2); pen.lineTo(x + r * 1.15, y + r * 0.9); pen.lineTo(x - r * 1.15, y + r * 0.9); pen.closePath(); }
  else { pen.moveTo(x, y - r * 1.25); pen.lineTo(x + r * 1.25, y); pen.lineTo(x, y + r * 1.25); pen.lineTo(x - r * 1.25, y); pen.closePath(); }
  pen.fillStyle = { planned: "#fff", drawn: "#fff", task: "#fff", fitted: FITTED, problem: PROBLEM, here: HERE }[is];
  pen.strokeStyle = { planned: PLANNED, drawn: DRAWN, task: TASK }[is] ?? "#fff";
  pen.lineWidth = ["planned", "drawn", "task"].includes(is) ? 2.5 : 1.5;
  pen.fill();
  pen.stroke();
  if (is !== "drawn") return;
  pen.beginPath();
  pen.arc(x, y, r * 0.45, 0, 2 * Math.PI);
  pen.fillStyle = DRAWN;
  pen.fill();
}

const median = (list) => list.sort((left, right) => left - right)[list.length >> 1];

/** Text with a paper edge, so that it is read over marks. */
function write(pen, text, x, y, font) {
  pen.font = font;
  pen.lineWidth = 4;
  pen.strokeStyle = PAPER;
  pen.strokeText(text, x, y);
  pen.fillStyle = INK;
  pen.fillText(text, x, y);
}

/** A name for each road whose covers take some room, none over another. */
function writeRoads(pen, visible) {
  const roads = new Map();
  for (const point of visible) if (point.cover.road) roads.set(point.cover.road, [...(roads.get(point.cover.road) ?? []), point]);
  const taken = [];
  pen.textAlign = "center";
  for (const [road, points] of [...roads].sort((left, right) => right[1].length - left[1].length)) {
    const xs = points.map((point) => point.x), ys = points.map((point) => point.y);
    const span = (list) => list.reduce((a, b) => Math.max(a, b)) - list.reduce((a, b) => Math.min(a, b));
    if (span(xs) + span(ys) < NAMES_FROM_PX && visible.length > 12) continue;
    const x = median(xs), y = median(ys) - 16;
    if (taken.some((other) => Math.abs(other.x - x) < 110 && Math.abs(other.y - y) < 22)) continue;
    taken.push({ x, y });
    write(pen, road, x, y, "600 15px system-ui, sans-serif");
  }
}

function drawScale(pen, view) {
  const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000];
  const length = steps.filter((step) => step * view.scale < view.width / 3).pop() ?? 1;
  const y = view.height - 14, end = 12 + length * view.scale;
  pen.strokeStyle = INK;
  pen.lineWidth = 3;
  pen.beginPath();
  pen.moveTo(12, y - 6); pen.lineTo(12, y); pen.lineTo(end, y); pen.lineTo(end, y - 6);
  pen.stroke();
  pen.textAlign = "left";
  write(pen, meters(length), 16, y - 8, "600 14px system-ui, sans-serif");
}

/** The marks of the map in words. */
function drawKey(pen, words) {
  let y = 20;
  pen.textAlign = "left";
  for (const is of ["planned", "drawn", "task", "here", "fitted", "problem"]) {
    if (!words[is]) continue;
    mark(pen, is, 20, y, 7);
    write(pen, words[is], 34, y + 5, "600 14px system-ui, sans-serif");
    y += 22;
  }
}

/** `view`: `{lon, lat, scale, width, height, chosen}`; `from` = the phone's place or null. */
export function drawMap(canvas, view, covers, from, words) {
  const pen = canvas.getContext("2d");
  pen.setTransform(canvas.width / view.width, 0, 0, canvas.height / view.height, 0, 0);
  pen.fillStyle = PAPER;
  pen.fillRect(0, 0, view.width, view.height);
  const place = (at) => {
    const { east, north } = offset(view, at);
    return { x: view.width / 2 + east * view.scale, y: view.height / 2 - north * view.scale };
  };
  const visible = [];
  for (const cover of covers) {
    const at = place(cover);
    if (at.x > -20 && at.y > -20 && at.x < view.width + 20 && at.y < view.height + 20) visible.push({ ...at, cover });
  }
  const r = Math.max(3.5, Math.min(10, 4 + view.scale));
  for (const { x, y, cover } of visible) {
    mark(pen, standing(cover), x, y, r);
    if (cover.cover !== view.chosen) continue;
    pen.strokeStyle = INK;
    pen.lineWidth = 3;
    pen.beginPath();
    pen.arc(x, y, r + 8, 0, 2 * Math.PI);
    pen.stroke();
  }
  if (from) {
    const { x, y } = place(from);
    pen.fillStyle = "rgba(20, 90, 200, .15)";
    pen.beginPath();
    pen.arc(x, y, Math.max(from.accuracy_m * view.scale, 12), 0, 2 * Math.PI);
    pen.fill();
    pen.fillStyle = "#1457c8";
    pen.strokeStyle = "#fff";
    pen.lineWidth = 3;
    pen.beginPath();
    pen.arc(x, y, 8, 0, 2 * Math.PI);
    pen.fill();
    pen.stroke();
  }
  writeRoads(pen, visible);
  drawScale(pen, view);
  drawKey(pen, words);
}
