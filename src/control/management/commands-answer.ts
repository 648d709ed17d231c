/** `/v1/commands`: what registries tell to do to calls, and that nothing of it is done. */
import type { CommandReport, ManagementView } from '../../core/index.js';

/** Beside the commands themselves the text is shown so far; the whole stands in the registry. */
const TEXT_CHARS_MAX = 16 * 1024;
/** Of all texts whose commands are shown. With very long ones in very many groups the answer would be one of gigabytes. */
const SHOWN_CHARS_MAX = 32 * 1024 * 1024;

export const COMMANDS_NOTE = 'Commands are recorded, not applied in this version.';

export function commandsAnswer(view: ManagementView): object {
  let charsLeft = SHOWN_CHARS_MAX;
  const scopes = view.commands().map((report) => {
    charsLeft -= report.text?.length ?? 0;
    return shownReport(report, charsLeft >= 0);
  });
  return { applied: false, note: COMMANDS_NOTE, scopes };
}

function shownReport(report: CommandReport, hasRoom: boolean): object {
  const { text } = report;
  const shown = { ...report, text: text === null ? null : cutText(text, TEXT_CHARS_MAX) };
  if (hasRoom) return shown;
  const odd = { position: null, field: '', message: 'not shown, because all texts together are too long' };
  return { ...shown, commands: [], odd: [odd], history: [] };
}

export function cutText(text: string, charsMax: number): string {
  return text.length > charsMax ? `${text.slice(0, charsMax)}...` : text;
}
