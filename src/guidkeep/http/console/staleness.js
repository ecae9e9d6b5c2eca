// A page that was hidden for a while is stale when it is shown again.

const OLD = 20_000;

/** Calls `again` when the page is shown again after a while, until the user leaves the view. */
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
