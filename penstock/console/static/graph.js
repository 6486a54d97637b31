// @ts-check
// The graph of bytes a second: what moved in and out over the last ten minutes, one more beat a second.
import { formatRate } from "./amounts.js";
import { onEnhance } from "./enhance.js";
import { getJson } from "./fetching.js";
import { onLive } from "./live.js";

/** The page has loaded `vendor/uplot.js`, which is no module. @type {any} */
const uPlot = Reflect.get(window, "uPlot");
const SECONDS = 600;
const LEAST_SECONDS = 60;
const HEIGHT = 190;
const STEPS = Array.from({ length: 50 }, (_, power) => 2 ** power);

/** @param {string} name */
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A colour of the style sheet as canvas understands it: `light-dark()` is resolved by an element. */
function resolved(/** @type {string} */ name) {
  const probe = document.createElement("span");
  probe.className = "visually-hidden";
  probe.dataset.colour = name;
  document.body.append(probe);
  probe.style.setProperty("color", colour(name));
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

const nowS = () => Math.floor(Date.now() / 1000);

/**
 * The times that are drawn: all there are, of the last ten minutes, and one minute at least.
 * @param {number | null} first
 * @param {number | null} last
 */
function drawn(first, last) {
  const until = last ?? nowS();
  return [Math.max(until - SECONDS, Math.min(first ?? until, until - LEAST_SECONDS)), until];
}

/** The time of day: in UTC where times are. @param {number} atS */
function clock(atS) {
  const at = new Date(atS * 1000);
  const parts = document.documentElement.dataset.times === "utc"
    ? [at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds()]
    : [at.getHours(), at.getMinutes(), at.getSeconds()];
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}

class Graph {
  /** @param {HTMLElement} place */
  constructor(place) {
    this.place = place;
    this.flow = "";
    /** @type {[number[], Array<number | null>, Array<number | null>]} */
    this.data = [[], [], []];
    this.draw();
    new ResizeObserver(() => this.plot.setSize({ width: place.clientWidth, height: HEIGHT })).observe(place);
    for (const look of [matchMedia("(prefers-color-scheme: dark)")]) look.addEventListener("change", () => this.draw());
    new MutationObserver(() => this.draw()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    onLive("beat", (beat) => this.beat(beat));
    this.load();
  }

  draw() {
    this.plot?.destroy();
    const axis = { stroke: resolved("--muted"), grid: { stroke: resolved("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    const band = (/** @type {string} */ label, /** @type {string} */ name, /** @type {number[]} */ dash) => ({
      label, stroke: resolved(name), width: 1.75, dash, fill: resolved(`${name}-ground`), points: { show: false },
      value: (/** @type {any} */ _, /** @type {number | null} */ speed) => (speed === null ? "–" : formatRate(speed)),
    });
    this.plot = new uPlot(
      {
        width: this.place.clientWidth || 600,
        height: HEIGHT,
        padding: [8, 8, 4, 0],
        cursor: { y: false, points: { size: 6 } },
        scales: { x: { time: true, range: (/** @type {any} */ _, /** @type {number | null} */ first, /** @type {number | null} */ last) => drawn(first, last) }, y: { range: (/** @type {any} */ _, /** @type {number} */ least, /** @type {number} */ most) => [0, Math.max(most * 1.1 || 0, 1024)] } },
        axes: [
          { ...axis, size: 30, space: 90, values: (/** @type {any} */ _, /** @type {number[]} */ marks) => marks.map(clock) },
          { ...axis, size: 84, incrs: STEPS, values: (/** @type {any} */ _, /** @type {number[]} */ marks) => marks.map((mark) => (mark ? formatRate(mark) : "0")) },
        ],
        series: [{ label: "At", value: (/** @type {any} */ _, /** @type {number | null} */ at) => (at === null ? "–" : clock(at)) }, band("In", "--moves", []), band("Out", "--good", [6, 4])],
      },
      this.data,
      this.place,
    );
    this.plot.root.querySelector("table")?.setAttribute("aria-label", "Speed at the pointer");
  }

  async load() {
    try {
      const told = await getJson(`${this.place.dataset.graph}?flow=${encodeURIComponent(this.flow)}`);
      this.data = [told.at, told.in, told.out];
      this.plot.setData(this.data);
    } catch {
      // the stream says that the connection is lost, and brings the next beat
    }
  }

  /** @param {{at: number, flows: Record<string, [number | null, number | null]>}} beat */
  beat(beat) {
    const [at, into, out] = this.data;
    const last = at.at(-1) ?? 0;
    if (beat.at <= last) return;
    if (beat.at - last > 5 && last) return void this.load();
    const speeds = beat.flows[this.flow] ?? [0, 0];
    at.push(beat.at);
    into.push(speeds[0]);
    out.push(speeds[1]);
    while (at[0] < beat.at - SECONDS) for (const column of this.data) column.shift();
    this.plot.setData(this.data);
    this.place.setAttribute("aria-label", `Bytes a second: in ${formatRate(speeds[0] ?? 0)}, out ${formatRate(speeds[1] ?? 0)}`);
  }

  /** @param {string} flow "" for all of them */
  show(flow) {
    this.flow = flow;
    this.load();
  }
}

onEnhance("[data-graph]", (place) => {
  const graph = new Graph(place);
  document.querySelector("[data-graph-flow]")?.addEventListener("change", (event) => {
    graph.show(/** @type {HTMLSelectElement} */ (event.target).value);
  });
});
