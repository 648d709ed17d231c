/** What a command printed, and what it would end with. */
import type { CliIo } from '../../../src/cli/output.js';

export class RecordingIo implements CliIo {
  stdout = '';
  stderr = '';
  exitCode: number | null = null;

  out(text: string | Buffer): void {
    this.stdout += text.toString();
  }

  error(text: string): void {
    this.stderr += text;
  }

  setExitCode(code: number): void {
    this.exitCode = code;
  }
}
