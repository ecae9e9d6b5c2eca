// A page that nobody looked at is old when somebody looks again.

const OLD = 20_000;

/** Calls `again` when the page comes back into view after a while, until the view is left. */
export function onReturn(again, signal) {
  let seenAt = Date.now();
  const look = () => {
    if (document.visibilityState === "visible" && Date.now() - seenAt > OLD) again();
    seenAt = Date.now();
  };
  document.addEventListener("visibilitychange", look, { signal });
  window.addEventListener("focus", look, { signal });
  window.addEventListener("blur", () => { seenAt = Date.now(); }, { signal });
}
