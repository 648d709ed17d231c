/** The secret that lets other machines change state: `motan-agent.managementToken`, or the file of `managementTokenFile`. */
import fs from 'node:fs/promises';
import { type AgentConfig, AgentError, messageOf } from '../../core/index.js';

/** Shorter ones can be guessed. */
const TOKEN_CHARACTERS_MIN = 16;

/** Null when none is configured. Throws AgentError `E_TOKEN` when the file cannot be read or the token is too weak. */
export async function readManagementToken(config: AgentConfig): Promise<string | null> {
  const file = config.agent.url.text('managementTokenFile');
  const key = file === '' ? 'managementToken' : 'managementTokenFile';
  const token = file === '' ? config.agent.url.text('managementToken') : await readToken(file);
  if (token === '' && file === '') return null;
  if (token.length < TOKEN_CHARACTERS_MIN || /\s/.test(token)) {
    throw new AgentError(
      'E_TOKEN',
      `motan-agent.${key}: a token has at least ${TOKEN_CHARACTERS_MIN} characters and no blanks`,
    );
  }
  return token;
}

async function readToken(file: string): Promise<string> {
  try {
    return (await fs.readFile(file, 'utf8')).trim();
  } catch (cause) {
    throw new AgentError('E_TOKEN', `motan-agent.managementTokenFile ${file}: ${messageOf(cause)}`, {
      cause,
    });
  }
}
