// Cuts JSON into its members without reading their values: what JSON.parse makes of a number may have
// other digits, and what the user did not edit is never to change. The service's answers are valid
// JSON, so a scan for the structural characters is enough.

/** An object's text to its members: name, the name as it is written, and the value's text. */
export function members(text) {
  return parts(text, "{").map((part) => {
    const end = endOfString(part, 0);
    const key = part.slice(0, end);
    return { name: JSON.parse(key), key, text: part.slice(part.indexOf(":", end) + 1).trim() };
  });
}

/** An array's text to the texts of its items. */
export function items(text) {
  return parts(text, "[");
}

/** The member of that name as a value; only for what is no number. */
export function valueOf(all, name) {
  const found = all.find((member) => member.name === name);
  return found ? JSON.parse(found.text) : undefined;
}

/** Whether a member of that name is metadata; the record itself has the others. */
export function isMetadata(name) {
  return name !== "guid" && name !== "expire";
}

/** Of a record's members, those that are. */
export function metadata(all) {
  return all.filter(({ name }) => isMetadata(name));
}

/** An object's text from its members. */
export function object(all) {
  return `{${all.map(({ key, text }) => `${key}:${text}`).join(",")}}`;
}

/** A value as it is read: a text without its quotes, everything else as it is written. */
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
