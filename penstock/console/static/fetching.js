// @ts-check
// Asks the console for data, and sends it forms, as the page's visitor.

/** What the service says instead of doing what was asked. */
export class Refusal extends Error {
  /** @param {{code: string, message: string, advice?: string, request_id?: string}} told */
  constructor(told) {
    super(told.message);
    this.code = told.code;
    this.advice = told.advice ?? "";
    this.requestId = told.request_id ?? "";
  }
}

/**
 * @param {string} url
 * @param {AbortSignal} [signal]
 */
export async function getJson(url, signal) {
  return read(await fetch(url, { headers: { Accept: "application/json" }, signal }));
}

/**
 * @param {string} url
 * @param {Record<string, string> | FormData | URLSearchParams} fields
 * @param {AbortSignal} [signal]
 */
export async function postForm(url, fields, signal) {
  const body = new URLSearchParams(/** @type {any} */ (fields));
  const headers = { Accept: "application/json", "X-CSRF-Token": csrf() };
  return read(await fetch(url, { method: "POST", headers, body, signal }));
}

function csrf() {
  return document.querySelector('meta[name="csrf"]')?.getAttribute("content") ?? "";
}

/** @param {Response} response */
async function read(response) {
  if (response.status === 401) {
    location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  }
  const told = (response.headers.get("content-type") ?? "").includes("json") ? await response.json() : null;
  if (response.ok && told !== null) return told;
  throw new Refusal(told ?? { code: "Unreadable", message: "The service gave no answer that this page understands." });
}
