// Cuts JSON into members without parsing their values: JSON.parse may change the digits of a number,
// and values that the user did not edit must not change. The service's responses are valid JSON, so
// scanning for structural characters is enough.

/** Cuts an object's text into members: the name, the name as written, and the value's text. */
export function members(text) {
  return parts(text, "{").map((part) => {
    const end = endOfString(part, 0);
    const key = part.slice(0, end);
    return { name: JSON.parse(key), key, text: part.slice(part.indexOf(":", end) + 1).trim() };
  });
}

/** Cuts an array's text into the texts of its items. */
export function items(text) {
  return parts(text, "[");
}

/** The decoded value of the member of that name. Not for numbers. */
export function valueOf(all, name) {
  const found = all.find((member) => member.name === name);
  return found ? JSON.parse(found.text) : undefined;
}

/** Whether a member of that name is metadata; `guid` and `expire` are not. */
export function isMetadata(name) {
  return name !== "guid" && name !== "expire";
}

/** The record's members that are metadata. */
export function metadata(all) {
  return all.filter(({ name }) => isMetadata(name));
}

/** The text of an object with those members. */
export function object(all) {
  return `{${all.map(({ key, text }) => `${key}:${text}`).join(",")}}`;
}

/** A value as shown to people: a string without quotes, any other value as written. */
export function shown(text) {
  return text.startsWith('"') ? JSON.parse(text) : text;
}

function parts(text, opening) {
  const found = [];
  let depth = 0;
  let start = text.indexOf(opening) + 1;
  for (let at = start - 1; at < text.length; at++) {
    const character = text[at];
    if (character === '"') at = endOfString(text, at) - 1;
    else if (character === "{" || character === "[") depth++;
    else if (character === "}" || character === "]") depth--;
    if (depth === 0 || (depth === 1 && character === ",")) {
      const part = text.slice(start, at).trim();
      if (part) found.push(part);
      start = at + 1;
    }
    if (depth === 0) break;
  }
  return found;
}

function endOfString(text, at) {
  at++;
  while (text[at] !== '"' && at < text.length) at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}
