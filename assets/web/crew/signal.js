// Who is told when something changed: in this page, and in the other tabs of this phone.

const listeners = new Set();
const channel = "BroadcastChannel" in self ? new BroadcastChannel("lidmark-crew") : null;
if (channel) channel.onmessage = ({ data }) => listeners.forEach((listener) => listener(data));

/** `listener` gets a word: `queue`, `covers`, `sync`, `update`. Gives the way to stop. */
export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Tells everybody. */
export function tell(what) {
  listeners.forEach((listener) => listener(what));
  channel?.postMessage(what);
}
