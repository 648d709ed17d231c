/** A command text of these entries. */
export function commandList(...entries: readonly unknown[]): string {
  return JSON.stringify({ clientCommandList: entries });
}
