/**
 * Takes secrets out of what is shown: the log, `/getConfig`, `/runtime/info`. Decided by the name of a key, because a value does
 * not tell; a key that ends in `File` names a path and stays.
 */
const SECRET_NAME =
  /passw(?:or)?d|passphrase|^pwd$|^pass$|token|secret|credential|auth(?!or(?!i))|(?:private|access|api)[-_]?key/i;
const REDACTED = '[redacted]';
const DEPTH_MAX = 12;

export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name) && !/file$/i.test(name);
}

/** A copy of plain maps and lists in which the values of secret keys are replaced; other objects are kept as they are. */
export function redactTree(value: unknown): unknown {
  return redactAt(value, 0);
}

/** Text with the secrets of urls in it replaced: `://user:word@` and `&password=word`. */
export function redactText(text: string): string {
  return text
    .replace(/:\/\/[^\s/@?]*:[^\s/@?]*@/g, `://${REDACTED}@`)
    .replace(/([?&])([^=&\s]+)=([^&\s]*)/g, (all, lead: string, name: string) =>
      isSecretName(name) ? `${lead}${name}=${REDACTED}` : all,
    );
}

function redactAt(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= DEPTH_MAX) return '[too deep]';
  if (Array.isArray(value)) return value.map((item) => redactAt(item, depth + 1));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  // A null prototype: a key named `__proto__` stays a key.
  const copy: Record<string, unknown> = Object.create(null);
  for (const [name, item] of Object.entries(value)) {
    const isHidden = isSecretName(name) && item !== null && item !== '' && typeof item !== 'boolean';
    copy[name] = isHidden ? REDACTED : redactAt(item, depth + 1);
  }
  return copy;
}
