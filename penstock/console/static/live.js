// @ts-check
// Keeps a page's parts as the service sees them now, by server-sent events. `<main data-live="/live/…">` is all a page needs.
//
// A lost connection is said, with the time of what is shown, and tried again after growing waits, from the cursor of the last
// event: what happened meanwhile, a restart of the service included, is caught up with. A hidden page lets go of its connection,
// because browsers have only a few for one address.
import { enhance, onEnhance } from "./enhance.js";
import { morph } from "./morph.js";
import { formatTime, renderTimes } from "./times.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
const SILENT_MS = 15_000;
const HIDDEN_MS = 20_000;

/** @type {Map<string, Array<(data: any) => void>>} */
const listeners = new Map();
/** @type {Set<Line>} */
const lines = new Set();

/**
 * For what a stream tells beside its parts.
 * @param {string} name of the event
 * @param {(data: any) => void} listener
 */
export function onLive(name, listener) {
  const known = listeners.get(name);
  listeners.set(name, [...(known ?? []), listener]);
  if (!known) for (const line of lines) line.hear(name);
}

class Line {
  /** @param {string} url */
  constructor(url) {
    this.url = url;
    this.cursor = "";
    this.asOfMs = 0;
    this.waitMs = FIRST_WAIT_MS;
    /** @type {EventSource | null} */
    this.source = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.silence = undefined;
  }

  open() {
    clearTimeout(this.timer);
    this.source?.close();
    const url = new URL(this.url, location.href);
    if (this.cursor) url.searchParams.set("from", this.cursor);
    const source = new EventSource(url);
    this.source = source;
    this.expect();
    source.addEventListener("part", (event) => this.part(JSON.parse(event.data)));
    source.addEventListener("as-of", (event) => this.fresh(event));
    source.addEventListener("trouble", (event) => this.say(`The service is busy: ${JSON.parse(event.data).message}`));
    source.addEventListener("ended", (event) => this.ended(JSON.parse(event.data).why));
    for (const name of listeners.keys()) this.hear(name);
    source.onerror = () => this.lost();
  }

  /** @param {string} name of an event that a page's script listens to */
  hear(name) {
    this.source?.addEventListener(name, (event) => {
      for (const listener of listeners.get(name) ?? []) listener(JSON.parse(/** @type {MessageEvent} */ (event).data));
    });
  }

  close() {
    clearTimeout(this.timer);
    clearTimeout(this.silence);
    this.source?.close();
    this.source = null;
  }

  /** @param {{name: string, html: string}} told */
  part(told) {
    const target = document.querySelector(`[data-part="${CSS.escape(told.name)}"]`);
    if (!target) return;
    const held = document.activeElement;
    morph(target, told.html);
    if (held && !held.isConnected) document.getElementById("main")?.focus({ preventScroll: true }); // a button that is no more
    enhance(target.parentNode ?? document);
    renderTimes(target);
  }

  /** @param {MessageEvent} event */
  fresh(event) {
    this.asOfMs = JSON.parse(event.data).ms;
    if (event.lastEventId) this.cursor = event.lastEventId;
    this.waitMs = FIRST_WAIT_MS;
    this.say("");
    this.expect();
  }

  /** A connection over which nothing comes is no connection. */
  expect() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.lost(), SILENT_MS);
  }

  /** @param {string} why */
  ended(why) {
    if (why === "session") {
      this.close();
      location.reload(); // the guard leads to the login, and back here
    } else {
      this.lost();
    }
  }

  lost() {
    this.close();
    const asOf = this.asOfMs ? `; data as of ${formatTime(this.asOfMs)}` : "";
    this.say(`Connection lost${asOf}. Trying again…`);
    this.timer = setTimeout(() => this.again(), this.waitMs * (0.75 + Math.random() / 2));
    this.waitMs = Math.min(this.waitMs * 2, LONGEST_WAIT_MS);
  }

  /** EventSource does not tell why it failed; an ordinary request does. */
  async again() {
    try {
      const answer = await fetch("/live/alive", { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(10_000) });
      if (answer.status === 401) {
        location.reload();
        return;
      }
      if (answer.ok) {
        this.open();
        return;
      }
    } catch {
      // nobody is there
    }
    this.lost();
  }

  /** @param {string} text */
  say(text) {
    const place = document.getElementById("connection");
    if (!place || place.textContent === text) return;
    place.textContent = text;
    place.hidden = !text;
  }
}

onEnhance("[data-live]", (element) => {
  const line = new Line(element.dataset.live ?? "");
  lines.add(line);
  line.cursor = element.dataset.from ?? "";
  line.open();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let letGo;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(letGo);
    if (document.hidden) letGo = setTimeout(() => line.close(), HIDDEN_MS);
    else if (!line.source) line.open();
  });
  addEventListener("pagehide", () => line.close());
  addEventListener("pageshow", (event) => {
    if (event.persisted) line.open();
  });
});
