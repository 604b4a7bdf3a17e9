// Pictures on their way from the camera into the queue: small enough for a bad line, kept as bytes.

import { h, fill, uuid } from "./dom.js";
import { t } from "./words.js";

const LONGEST_SIDE = 1600;
const QUALITY = 0.82;

async function decode(file) {
  if ("createImageBitmap" in self) {
    try {
      return await createImageBitmap(file, { imageOrientation: "from-image" });
    } catch { /* older phones take no options; the element below turns the picture by itself */ }
  }
  const image = new Image(), address = URL.createObjectURL(file);
  try {
    image.src = address;
    await image.decode();
    return image;
  } finally {
    URL.revokeObjectURL(address);
  }
}

/** A file from the camera → the bytes of a JPEG of at most 1600 pixels a side. Throws where it is no picture. */
export async function shrink(file) {
  const picture = await decode(file);
  const width = picture.naturalWidth ?? picture.width, height = picture.naturalHeight ?? picture.height;
  const scale = Math.min(1, LONGEST_SIDE / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close?.();
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY));
  if (!blob) throw new Error("no picture");
  return blob.arrayBuffer();
}

/** A picture of bytes for the page; `onclick` makes it a button. */
export function preview(bytes, label) {
  const image = h("img", { alt: label });
  image.src = URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }));
  image.onload = () => URL.revokeObjectURL(image.src);
  return image;
}

/**
 * Fields for photos in roles. `photos` is the list `{id, role, bytes}` that they fill; `onchange` is called when it
 * changed, `most` is how many an action may have.
 */
export function photoFields(roles, photos, onchange, most = 8) {
  const said = h("p", { class: "wrong", role: "alert", hidden: true });
  const box = h("div", { class: "photos" });
  const draw = () => fill(box, roles.map((role) => field(role)), said);
  const complain = (sentence) => { said.textContent = sentence; said.hidden = !sentence; };

  function field(role) {
    const input = h("input", { type: "file", accept: "image/*", capture: "environment", class: "sr", name: "photo-" + role });
    input.onchange = () => take(role, [...input.files]);
    return h("div", { class: "photo-role" },
      h("label", { class: "button camera" }, input, h("span", {}, t("photo_" + role))),
      photos.filter((photo) => photo.role === role).map((photo) => h("div", { class: "shot" },
        preview(photo.bytes, t("photo_" + role)),
        h("button", { type: "button", class: "remove", "aria-label": t("photo_remove"), onclick: () => remove(photo) }, "×"))));
  }

  async function take(role, files) {
    complain("");
    for (const file of files) {
      if (photos.length >= most) { complain(t("photo_too_many", { count: most })); break; }
      try {
        photos.push({ id: uuid(), role, bytes: await shrink(file) });
      } catch {
        complain(t("photo_unreadable"));
      }
    }
    await onchange();
    const sentence = said.textContent;
    draw();
    complain(sentence);
  }

  function remove(photo) {
    photos.splice(photos.indexOf(photo), 1);
    draw();
    return onchange();
  }

  return draw();
}
