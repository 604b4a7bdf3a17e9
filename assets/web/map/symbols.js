// How a cover looks: its class by color and by the sign that stands on such covers, its state by its shape.

import { t, word } from "./words.js";

/** As on the other pages of the desk. */
export const COLORS = {
  water_supply: "#0b5cad", sewage: "#6b3f1d", storm: "#1f6f78", storm_grate: "#1f6f78", combined: "#7a5230", reclaimed: "#2f6f9f",
  power: "#c1121f", street_light: "#c1121f", telecom: "#1b7a3d", cable_tv: "#1b7a3d", data_network: "#1b7a3d", heating: "#b84a00",
  gas: "#b5286b", police: "#1d2f6f", oil_gas: "#3a3a3a", unidentified: "#4a4f57",
};
export const HOT = "#a3000f";
const SIDE = 26;
const SCALE = 2;

/** The outline of a state around the middle of the pen. */
function outline(pen, state, r) {
  pen.beginPath();
  if (state === "broken") {
    pen.moveTo(0, -r * 1.15);
    pen.lineTo(r * 1.15, r * 0.85);
    pen.lineTo(-r * 1.15, r * 0.85);
    pen.closePath();
  } else if (state === "abandoned") pen.rect(-r * 0.88, -r * 0.88, r * 1.76, r * 1.76);
  else pen.arc(0, 0, r, 0, 2 * Math.PI);
}

/** A cover as a picture of 26 × 26 pixels at twice the resolution. Intact = disc, broken = triangle, missing = ring with a cross,
 * abandoned = square, planned = dashed ring. */
export function drawCover(kind, state) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIDE * SCALE;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.scale(SCALE, SCALE);
  pen.translate(SIDE / 2, SIDE / 2);
  const color = COLORS[kind] ?? COLORS.unidentified, is_hollow = state === "missing" || state === "planned";
  outline(pen, state, 10);
  pen.fillStyle = is_hollow ? "#fff" : color;
  pen.fill();
  pen.lineWidth = is_hollow ? 2.5 : 1.5;
  pen.strokeStyle = is_hollow ? color : "#fff";
  if (state === "planned") pen.setLineDash([3, 2.5]);
  pen.stroke();
  pen.setLineDash([]);
  if (state === "missing") {
    pen.strokeStyle = HOT;
    pen.lineWidth = 2.5;
    pen.beginPath();
    pen.moveTo(-6, -6); pen.lineTo(6, 6); pen.moveTo(6, -6); pen.lineTo(-6, 6);
    pen.stroke();
  } else {
    pen.fillStyle = is_hollow ? color : "#fff";
    pen.font = `700 ${state === "broken" ? 9 : 11}px system-ui, "PingFang SC", "Noto Sans SC", "Noto Sans CJK SC", sans-serif`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillText(t("sign_" + kind), 0, state === "broken" ? 3 : 0.5);
  }
  return canvas;
}

/** The sign of an open case: what is dangerous is seen before everything else. */
export function drawAlarm() {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 16 * SCALE;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.scale(SCALE, SCALE);
  pen.beginPath();
  pen.arc(8, 8, 6.5, 0, 2 * Math.PI);
  pen.fillStyle = HOT;
  pen.strokeStyle = "#fff";
  pen.lineWidth = 1.5;
  pen.fill();
  pen.stroke();
  pen.fillStyle = "#fff";
  pen.font = "700 11px system-ui, sans-serif";
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.fillText("!", 8, 8.5);
  return canvas;
}

/** The pixels of a picture, for the map. */
export function pixels(canvas) {
  return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
}

/** Puts the picture of each name that the map asks for into it: `cover-CLASS-STATE` and `alarm`. */
export function supplyPictures(map) {
  map.setMissingStyleImageResolver((id) => {
    const [what, kind, state] = id.split("/");
    if (what === "cover") map.addImage(id, pixels(drawCover(kind, state)), { pixelRatio: SCALE });
    else if (what === "alarm") map.addImage(id, pixels(drawAlarm()), { pixelRatio: SCALE });
  });
}

/** A picture with its words, for the legend. */
export function legendEntry(canvas, text) {
  const image = document.createElement("img");
  image.src = canvas.toDataURL();
  image.alt = "";
  image.width = canvas.width / SCALE;
  const entry = document.createElement("li");
  entry.append(image, text);
  return entry;
}

/** A dot of one color. */
function drawDot(color) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 18 * SCALE;
  const pen = canvas.getContext("2d");
  pen.fillStyle = color;
  pen.arc(9 * SCALE, 9 * SCALE, 7 * SCALE, 0, 2 * Math.PI);
  pen.fill();
  return canvas;
}

/** What a color stands for. */
export const colorEntry = (color, text) => legendEntry(drawDot(color), text);

/** The legend of these classes and states. */
export function legend(kinds, states) {
  return [
    ...kinds.map((kind) => legendEntry(drawCover(kind, "intact"), word("class", kind))),
    ...states.map((state) => legendEntry(drawCover("unidentified", state), word("state", state))),
    legendEntry(drawAlarm(), t("legend_case")),
  ];
}
