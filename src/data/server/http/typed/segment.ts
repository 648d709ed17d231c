/** A name as one segment of a path, or as a value of a query: whatever could end or change either is percent-encoded UTF-8. */
export function encodeSegment(name: string): string {
  return Buffer.from(name, 'utf8')
    .toString('latin1')
    .replace(/[^-_.~$(),:@0-9A-Za-z]/g, (byte) => {
      const digits = byte.charCodeAt(0).toString(16).toUpperCase();
      return `%${digits.padStart(2, '0')}`;
    });
}
