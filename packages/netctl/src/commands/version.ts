import { ApiError, UnreachableError } from '@contiv/client';
import { VERSION, type VersionInfo } from '@contiv/model';
import type { Run } from '../cli/command.js';
import { explain } from '../explain.js';
import { CommandError, EXIT } from '../session.js';

/** This program's own version. */
export const ownVersion: VersionInfo = { Version: VERSION, GitCommit: 'unknown', BuildTime: 'unknown' };

export const versionLines = (v: VersionInfo): string => `Version: ${v.Version}\nGitCommit: ${v.GitCommit}\nBuildTime: ${v.BuildTime}\n`;

export const version: Run = async (session) => {
  if (!session.structured) session.print(`Client Version:\n${versionLines(ownVersion)}\n`);
  try {
    const server = await (await session.server.anonymous()).version();
    if (session.structured) return await session.document({ client: ownVersion, server });
    session.print(`Server Version:\n${versionLines(server)}`);
  } catch (error) {
    if (!(error instanceof ApiError || error instanceof UnreachableError)) throw error;
    const { message, hint } = explain(error);
    throw new CommandError(message, { exit: EXIT.request, hint });
  }
};
