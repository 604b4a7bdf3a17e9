// Keeps the shell on this phone. The server writes VERSION (a digest of all files) and FILES above these lines.

const CACHE = "lidmark-crew-" + VERSION;
const OURS = new Set(FILES);

/** How many actions wait on this phone; a database that is not there yet is not made. */
function countWaiting() {
  return new Promise((done) => {
    const request = indexedDB.open("lidmark-crew");
    request.onupgradeneeded = () => request.transaction.abort();
    request.onerror = () => done({ waiting: 0, anyway: false });
    request.onsuccess = () => {
      const db = request.result;
      const end = (told) => { db.close(); done(told); };
      try {
        const reading = db.transaction(["queue", "meta"]);
        const entries = reading.objectStore("queue").getAll(), flag = reading.objectStore("meta").get("update_anyway");
        reading.oncomplete = () => end({
          waiting: entries.result.filter((entry) => !["done", "answered", "discarded"].includes(entry.state)).length,
          anyway: flag.result === true,
        });
        reading.onabort = () => end({ waiting: 0, anyway: false });
      } catch { end({ waiting: 0, anyway: false }); }
    };
  });
}

async function precache() {
  const cache = await caches.open(CACHE);
  await Promise.all(FILES.map(async (path) => {
    // What an earlier try brought stays.
    if (await cache.match(path)) return;
    const answer = await fetch(path, { cache: "reload", credentials: "same-origin" });
    if (!answer.ok) throw new Error(path + ": " + answer.status);
    await cache.put(path, answer);
  }));
}

self.addEventListener("install", (event) => event.waitUntil((async () => {
  if (self.registration.active) {
    const { waiting, anyway } = await countWaiting();
    if (waiting > 0 && !anyway) {
      for (const page of await self.clients.matchAll({ type: "window", includeUncontrolled: true })) page.postMessage("update-waits");
      throw new Error("the queue is not empty");
    }
  }
  await precache();
})()));

self.addEventListener("activate", (event) => event.waitUntil((async () => {
  for (const name of await caches.keys())
    if (name.startsWith("lidmark-crew-") && name !== CACHE) await caches.delete(name);
  await self.clients.claim();
})()));

self.addEventListener("message", (event) => {
  if (event.data === "take-over") self.skipWaiting();
  if (event.data === "claim") event.waitUntil(self.clients.claim());
});

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== self.location.origin) return;
  const path = url.pathname === "/crew" || url.pathname === "/crew/" ? "/crew" : url.pathname + url.search;
  if (!OURS.has(path)) return;
  event.respondWith((async () => (await (await caches.open(CACHE)).match(path)) ?? fetch(event.request))());
});
