// Requests to the service. Bodies stay text; json.js gives the reason.

import { heard } from "./clock.js";

const PATIENCE = 20_000;

/** The service responded with an error; `problem` is its problem document (RFC 9457). */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `The service responded with status ${status}.`);
    this.status = status;
    this.problem = problem;
  }
}

/** The service did not respond. */
export class Away extends Error {
  constructor(cause) {
    super("The service does not respond.", { cause });
  }
}

/** Sends the event "away" when a request gets no response, and "back" when one does again. */
export const service = new EventTarget();
let isAway = false;

function tell(away) {
  if (away === isAway) return;
  isAway = away;
  service.dispatchEvent(new Event(away ? "away" : "back"));
}

/**
 * Sends a request; returns {status, text, etag}, for status 304 too.
 * Throws Refused, Away, or the abort error of `signal`.
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
 * The ETag as the service wrote it. A proxy that compresses a response makes the tag weak
 * (nginx: W/"5") or adds the coding to it (Apache, Caddy: "5-gzip"); neither matches If-Match.
 */
function strong(etag) {
  const altered = /^(?:W\/)?"(\d+)(?:--?(?:gzip|br|zstd|deflate))?"$/.exec(etag ?? "");
  return altered ? `"${altered[1]}"` : etag;
}

function problemOf(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {}; // for example, a proxy's error page
  }
}

const one = (guid) => `/guid/${encodeURIComponent(guid)}`;

/** Reads a record. */
export function read(guid, options) {
  return ask("GET", one(guid), options);
}

/** Reads a record if its version has changed; else the status is 304. */
export function readAgain(guid, etag) {
  return ask("GET", one(guid), { headers: { "if-none-match": etag } });
}

/** Creates a record, never updates one. */
export function create(guid, body) {
  return ask("PUT", one(guid), { body, headers: { "if-none-match": "*" } });
}

/** Writes if the record's ETag is still that one; `method` is PATCH or PUT. */
export function write(method, guid, body, etag) {
  return ask(method, one(guid), { body, headers: { "if-match": etag } });
}

/** Deletes the record if its ETag is still that one. */
export function remove(guid, etag) {
  return ask("DELETE", one(guid), { headers: { "if-match": etag } });
}

/** Reads a page of the list; `query` has the API's parameters. */
export function list(query, signal) {
  const given = Object.entries(query).filter(([, value]) => value);
  return ask("GET", `/guid?${new URLSearchParams(given)}`, { signal });
}

/** Reads the counts of live records and the forecast. Counting many records may take long. */
export async function stats(signal) {
  const { text } = await ask("GET", "/stats", { signal, patience: 10 * PATIENCE });
  return JSON.parse(text);
}

/** Reads the state of the service alone, which takes no count of records. */
export async function serviceStats(signal) {
  const { text } = await ask("GET", "/stats/service", { signal });
  return JSON.parse(text);
}

let schema;

/** Reads the operator's schema of metadata, once. */
export async function metadataSchema(signal) {
  if (schema === undefined) {
    const { text } = await ask("GET", "/openapi.json", { signal });
    schema = JSON.parse(text).components.schemas.Metadata;
  }
  return schema;
}
