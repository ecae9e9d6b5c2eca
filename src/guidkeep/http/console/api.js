// Requests to the service. Bodies stay text: see json.js for why.

import { heard } from "./clock.js";

const PATIENCE = 20_000;

/** The service answered that it can't or won't; `problem` is its problem document (RFC 9457). */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `The service answered ${status}.`);
    this.status = status;
    this.problem = problem;
  }
}

/** The service did not answer. */
export class Away extends Error {
  constructor(cause) {
    super("The service does not answer.", { cause });
  }
}

/** Tells "away" when a request finds no answer, and "back" when one does again. */
export const service = new EventTarget();
let isAway = false;

function tell(away) {
  if (away === isAway) return;
  isAway = away;
  service.dispatchEvent(new Event(away ? "away" : "back"));
}

/**
 * Sends a request; answers {status, text, etag}. 304 is an answer.
 * Throws Refused, Away, or what aborted it.
 */
export async function ask(method, path, { body, headers = {}, signal, patience = PATIENCE } = {}) {
  const sentAt = Date.now();
  const limit = AbortSignal.timeout(patience);
  let response;
  let text;
  try {
    response = await fetch(path, {
      method,
      body,
      headers: body === undefined ? headers : { "content-type": "application/json", ...headers },
      cache: "no-store",
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
    heard(response.headers.get("date"), sentAt, Date.now());
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    tell(true);
    throw new Away(error);
  }
  tell(false);
  if (response.ok || response.status === 304) {
    return { status: response.status, text, etag: strong(response.headers.get("etag")) };
  }
  throw new Refused(response.status, problemOf(text));
}

/**
 * The version as the service wrote it. A proxy that compresses an answer makes its tag weak
 * (nginx: W/"5") or adds the coding to it (Apache, Caddy: "5-gzip"); neither ever matches If-Match.
 */
function strong(etag) {
  const altered = /^(?:W\/)?"(\d+)(?:--?(?:gzip|br|zstd|deflate))?"$/.exec(etag ?? "");
  return altered ? `"${altered[1]}"` : etag;
}

function problemOf(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {}; // a proxy's own page, perhaps
  }
}

const one = (guid) => `/guid/${encodeURIComponent(guid)}`;

/** Reads a record. */
export function read(guid, options) {
  return ask("GET", one(guid), options);
}

/** Reads it if it is not of that version any more: 304, or as `read`. */
export function readAgain(guid, etag) {
  return ask("GET", one(guid), { headers: { "if-none-match": etag } });
}

/** Creates a record, never updates one. */
export function create(guid, body) {
  return ask("PUT", one(guid), { body, headers: { "if-none-match": "*" } });
}

/** Writes to the version of that ETag and to no other; `method` is PATCH or PUT. */
export function write(method, guid, body, etag) {
  return ask(method, one(guid), { body, headers: { "if-match": etag } });
}

/** Deletes the version of that ETag and no other. */
export function remove(guid, etag) {
  return ask("DELETE", one(guid), { headers: { "if-match": etag } });
}

/** A page of the list; `query` has what the API's own parameters have. */
export function list(query, signal) {
  const given = Object.entries(query).filter(([, value]) => value);
  return ask("GET", `/guid?${new URLSearchParams(given)}`, { signal });
}

/** What there is and when it will expire. To count many records takes the service its time. */
export async function stats(signal) {
  const { text } = await ask("GET", "/stats", { signal, patience: 10 * PATIENCE });
  return JSON.parse(text);
}

let schema;

/** The schema of metadata, as the operator has set it; asked for once. */
export async function metadataSchema(signal) {
  if (schema === undefined) {
    const { text } = await ask("GET", "/openapi.json", { signal });
    schema = JSON.parse(text).components.schemas.Metadata;
  }
  return schema;
}
