// Symbols in front of the camera. The phone's own reader where it has one, and ours (vendor/zxing-wasm), which also
// reads etched plates, light on dark, in which many readers of phones see nothing.

const PAUSE_MS = 120;
/** With a reader of the phone's own, ours looks at every so many pictures. */
const OURS_EVERY = 4;
let zxing = null;

/** Our reader; loaded when the first picture is to be read. Throws where the browser runs no WebAssembly. */
function loadZxing() {
  zxing ??= (async () => {
    const script = document.createElement("script");
    script.src = "/crew/zxing_reader.js";
    await new Promise((done, fail) => { script.onload = done; script.onerror = fail; document.head.append(script); });
    const wasmBinary = await (await fetch("/crew/zxing_reader.wasm")).arrayBuffer();
    await ZXingWASM.prepareZXingModule({ overrides: { wasmBinary }, fireImmediately: true });
    return ZXingWASM.readBarcodes;
  })();
  zxing.catch(() => { zxing = null; });
  return zxing;
}

async function phoneReader() {
  try {
    if (!("BarcodeDetector" in self)) return null;
    if (!(await BarcodeDetector.getSupportedFormats()).includes("qr_code")) return null;
    return new BarcodeDetector({ formats: ["qr_code"] });
  } catch { return null; }
}

/** Every text that our reader finds in a picture's pixels. */
export async function readPixels(pixels) {
  const read = await loadZxing();
  const found = await read(pixels, { formats: ["QRCode"], tryHarder: true, maxNumberOfSymbols: 4 });
  return found.filter((symbol) => symbol.isValid !== false && symbol.text).map((symbol) => symbol.text);
}

/** The texts in a photo, for phones that give the page no camera. */
export async function readFile(file) {
  const picture = await createImageBitmap(file);
  const canvas = document.createElement("canvas");
  const scale = Math.min(1, 2000 / Math.max(picture.width, picture.height));
  canvas.width = Math.round(picture.width * scale);
  canvas.height = Math.round(picture.height * scale);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return readPixels(context.getImageData(0, 0, canvas.width, canvas.height));
}

/**
 * Looks through the camera into `video` until a text is found that `take` accepts by giving true. Throws where there is
 * no camera. Gives `{stop, torch}`; `torch` is null where the phone has none.
 */
export async function watch(video, take) {
  if (!navigator.mediaDevices?.getUserMedia) throw new Error("no camera");
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: false, video: { facingMode: { ideal: "environment" }, width: { ideal: 1280 }, height: { ideal: 720 } },
  });
  let ended = false;
  const stop = () => {
    ended = true;
    stream.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
  };
  const track = stream.getVideoTracks()[0];
  video.srcObject = stream;
  video.playsInline = true;
  video.muted = true;
  await video.play();
  const torch = track.getCapabilities?.().torch
    ? (on) => track.applyConstraints({ advanced: [{ torch: on }] }).catch(() => {})
    : null;

  const canvas = document.createElement("canvas"), context = canvas.getContext("2d", { willReadFrequently: true });
  const detector = await phoneReader();
  const ours = () => {
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    context.drawImage(video, 0, 0);
    return readPixels(context.getImageData(0, 0, canvas.width, canvas.height));
  };
  const look = async (count) => {
    if (ended) return;
    if (video.videoWidth) {
      let texts = [];
      try {
        if (detector) texts = (await detector.detect(video)).map((symbol) => symbol.rawValue);
        if (texts.length === 0 && (!detector || count % OURS_EVERY === 0)) texts = await ours();
      } catch { /* the next picture may be better */ }
      for (const text of texts) if (!ended && (await take(text))) return stop();
    }
    setTimeout(() => look(count + 1), PAUSE_MS);
  };
  look(0);
  return { stop, torch };
}
