// This phone's own memory: IndexedDB. Every write is one transaction that is on disk when its promise is kept.

const NAME = "lidmark-crew";
const SCHEMA = 1;
let opened = null;

/** meta: single values · packages · covers · stock: plates of this crew · queue: actions in order · photos · drafts. */
function build(db) {
  db.createObjectStore("meta");
  db.createObjectStore("packages", { keyPath: "id" });
  const covers = db.createObjectStore("covers", { keyPath: "cover" });
  covers.createIndex("packages", "packages", { multiEntry: true });
  covers.createIndex("tokens", "tokens", { multiEntry: true });
  db.createObjectStore("stock", { keyPath: "token" });
  const queue = db.createObjectStore("queue", { keyPath: "seq", autoIncrement: true });
  queue.createIndex("id", "id", { unique: true });
  const photos = db.createObjectStore("photos", { keyPath: "id" });
  photos.createIndex("action", "action");
  db.createObjectStore("drafts", { keyPath: "key" });
}

function open() {
  opened ??= new Promise((done, fail) => {
    const request = indexedDB.open(NAME, SCHEMA);
    request.onupgradeneeded = () => build(request.result);
    request.onerror = () => { opened = null; fail(request.error); };
    request.onsuccess = () => {
      const db = request.result;
      db.onversionchange = () => { db.close(); opened = null; };
      db.onclose = () => { opened = null; };
      done(db);
    };
  });
  return opened;
}

/** The result of one request. */
export const ask = (request) => new Promise((done, fail) => {
  request.onsuccess = () => done(request.result);
  request.onerror = () => fail(request.error);
});

function run(db, stores, mode, work) {
  return new Promise((done, fail) => {
    // Strict: the answer comes after the disk has it, so that an empty battery loses nothing that was confirmed.
    const transaction = db.transaction(stores, mode, { durability: "strict" });
    let result, thrown = null;
    transaction.oncomplete = () => (thrown ? fail(thrown) : done(result));
    transaction.onabort = () => fail(thrown ?? transaction.error ?? new Error("aborted"));
    Promise.resolve(work((name) => transaction.objectStore(name))).then(
      (value) => { result = value; },
      (error) => {
        thrown = error;
        try { transaction.abort(); } catch { /* it ended by itself */ }
      },
    );
  });
}

async function within(stores, mode, work) {
  try {
    return await run(await open(), stores, mode, work);
  } catch (error) {
    // Phones close the connection of a page that slept.
    if (error?.name !== "InvalidStateError") throw error;
    opened = null;
    return run(await open(), stores, mode, work);
  }
}

/** Reads in one moment; `work` gets a function from names to stores. */
export const read = (stores, work) => within(stores, "readonly", work);

/** Writes all or nothing. Throws `QuotaExceededError` where the phone is full. */
export const write = (stores, work) => within(stores, "readwrite", work);

/** Whether a write failed because this phone has no room. */
export const isFull = (error) => error?.name === "QuotaExceededError";

/** Writes what one can do without: a phone that has no room for it gives `false` and goes on, for sending is what makes room. */
export async function writeIfRoom(stores, work) {
  try {
    await write(stores, work);
    return true;
  } catch (error) {
    if (isFull(error)) return false;
    throw error;
  }
}

export const recall = (key) => read(["meta"], (store) => ask(store("meta").get(key)));
export const remember = (key, value) => writeIfRoom(["meta"], (store) => ask(store("meta").put(value, key)));
