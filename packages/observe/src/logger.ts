import { type DestinationStream, destination, type Logger as PinoLogger, pino } from 'pino';
import { formatLine } from './pretty.js';
import { redactFields, redactText } from './redact.js';

export type Logger = PinoLogger;
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LoggerOptions {
  /** Program name, on every record. */
  readonly name: string;
  readonly level?: LogLevel;
  /** `pretty` for people, `json` for collectors; by default pretty when stderr is a terminal. */
  readonly format?: 'json' | 'pretty';
  /** Where lines go instead of stderr (tests). */
  readonly write?: (line: string) => void;
}

/**
 * A structured logger on stderr, one record a line, written synchronously so that the last line before a crash is seen.
 * Fields with a secret's name and credentials inside texts are redacted. `logger.child({ component })` for parts.
 */
export function createLogger(options: LoggerOptions): Logger {
  const format = options.format ?? (process.stderr.isTTY ? 'pretty' : 'json');
  return pino(
    {
      name: options.name,
      level: options.level ?? 'info',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (record) => redactFields(record),
        bindings: (bindings) => redactFields(bindings),
      },
    },
    sink(format, options.write),
  );
}

/** A logger that says nothing, for callers that pass none. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' });
}

function sink(format: 'json' | 'pretty', write: LoggerOptions['write']): DestinationStream {
  const stderr = write === undefined ? destination({ fd: 2, sync: true }) : undefined;
  const out = write ?? ((line: string) => stderr?.write(line));
  return {
    write: (line) => {
      const clean = redactText(line);
      out(format === 'pretty' ? formatLine(clean, process.stderr.isTTY && process.env.NO_COLOR === undefined) : clean);
    },
  };
}
