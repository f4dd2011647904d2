/** Errors as a sentence, advice and an exit status. Pure. */
import { ApiError, UnreachableError, UrlError } from '@contiv/client';
import { CommandError, EXIT } from './session.js';

export interface Explained {
  readonly message: string;
  readonly hint: string;
  readonly exit: number;
  readonly help: boolean;
}

export function explain(error: unknown): Explained {
  if (error instanceof CommandError) return { message: error.message, hint: error.hint, exit: error.exit, help: error.help };
  if (error instanceof ApiError) return { message: error.detail, hint: error.hint, exit: EXIT.api, help: false };
  if (error instanceof UrlError) return { message: 'Error connecting to netmaster', hint: error.message, exit: EXIT.usage, help: false };
  if (error instanceof UnreachableError)
    return {
      message: `${error.message}; ${wayOut(error)}`,
      hint: '',
      exit: EXIT.api,
      help: false,
    };
  return { message: error instanceof Error ? error.message : String(error), hint: '', exit: EXIT.io, help: false };
}

function wayOut({ attempts, mayBeDone }: UnreachableError): string {
  if (mayBeDone) return 'it may have done what was asked: look before you ask again';
  if (attempts.some(({ reason }) => reason.startsWith('its certificate'))) return 'take any certificate with --insecure';
  return 'start netmaster there, or give the right address with --netmaster or NETMASTER';
}
