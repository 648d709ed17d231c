/**
 * One request to a Consul agent, with what the package `consul` leaves open: an answer has a bound, one that breaks off is a failure at once
 * instead of never, and the time to answer counts from when there is a connection, because requests wait for one.
 *
 * The package takes it as `ctx`, emits nothing on it, and gives up when it hears `cancel`.
 */
import { EventEmitter } from 'node:events';
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';

export interface ExchangeLimits {
  readonly timeoutMs: number;
  readonly answerBytesMax: number;
}

/** `node:http` or `node:https`, as the package calls them. */
export interface Transport {
  request(options: RequestOptions): ClientRequest;
}

/** Whoever answers is there, and must not be asked the same at once again. */
export class AnswerTooLongError extends Error {
  constructor(bytesMax: number) {
    super(`an answer of over ${bytesMax} bytes`);
    this.name = 'AnswerTooLongError';
  }
}

export class Exchange extends EventEmitter {
  /** Asks the package for the whole response. */
  readonly includeResponse = true;
  readonly limits: ExchangeLimits;

  constructor(limits: ExchangeLimits) {
    super();
    this.limits = limits;
  }

  cancel(): void {
    this.emit('cancel');
  }

  /** Sends through `transport`, under the limits. */
  through(transport: Transport): Transport {
    return {
      request: (options) => {
        const request = transport.request(options);
        this.#limit(request);
        return request;
      },
    };
  }

  #limit(request: ClientRequest): void {
    const { timeoutMs, answerBytesMax } = this.limits;
    let timer: NodeJS.Timeout | null = null;
    // The first error settles the package's promise; it hears the later ones and ignores them.
    const giveUp = (error: Error): void => {
      request.destroy();
      request.emit('error', error);
    };
    request.once('socket', () => {
      timer = setTimeout(() => giveUp(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    });
    request.once('close', () => {
      if (timer !== null) clearTimeout(timer);
    });
    request.once('response', (response: IncomingMessage) => {
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > answerBytesMax) giveUp(new AnswerTooLongError(answerBytesMax));
      });
      response.on('error', () => {}); // `close` follows, and tells it
      response.once('close', () => {
        if (!response.complete) giveUp(new Error('the connection ended amid an answer'));
      });
    });
  }
}
