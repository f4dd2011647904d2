/** The tutorial program: types a tutorial and says whether it shows what it has to. */
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Done, typeAll } from './session.js';
import { type Chapter, ENGINES, type Engine } from './step.js';
import { page, shown } from './transcript.js';
import { isTutorial, TUTORIALS, type TutorialName } from './tutorials.js';

const USAGE = `Usage: tutorial [container-101|contiv-policy] [--engine system|modern] [--write FILE]

Types the commands of a tutorial (default: container-101) into terminals and compares what they show.
  --engine system|modern  Docker Engine of the hosts: Debian's own, or 28 (default: system)
  --write FILE            put the transcript there as well
`;

const root = resolve(import.meta.dirname, '..');
/** What is inherited; nothing of a make that called us. */
const INHERITED = ['PATH', 'HOME', 'CONTIV_LAB', 'CONTIV_IP_PREFIX'];

function options(): { readonly tutorial: TutorialName; readonly engine: Engine; readonly write: string | undefined } {
  try {
    const flags = { engine: { type: 'string', default: 'system' }, write: { type: 'string' } } as const;
    const { values, positionals } = parseArgs({ options: flags, allowPositionals: true });
    const [tutorial = 'container-101', ...more] = positionals;
    if (!isTutorial(tutorial) || more.length > 0)
      throw new TypeError(`there is no tutorial ${positionals.join(' ')}; there are ${Object.keys(TUTORIALS).join(' and ')}`);
    const engine = ENGINES.find((known) => known === values.engine);
    if (engine === undefined) throw new TypeError(`there is no engine ${values.engine}; there are ${ENGINES.join(' and ')}`);
    return { tutorial, engine, write: values.write };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    process.stderr.write(`tutorial: ${error.message}\n${USAGE}`);
    process.exit(2);
  }
}

async function main(): Promise<void> {
  const { tutorial, engine, write } = options();
  const chapters: { chapter: Chapter; done: Done[] }[] = [];
  const began = performance.now();
  const all = await typeAll(TUTORIALS[tutorial].chapters, {
    engine,
    root,
    env: {
      ...Object.fromEntries(INHERITED.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]))),
      ENGINE: engine,
      TERM: 'dumb',
      LANG: 'C.UTF-8',
      NO_COLOR: '1',
      DOCKER_CLI_HINTS: 'false',
    },
    chapter: (chapter) => {
      chapters.push({ chapter, done: [] });
      process.stdout.write(`\n== ${chapter.title}\n\n`);
    },
    done: (done) => {
      chapters.at(-1)?.done.push(done);
      process.stdout.write(shown(done));
    },
  });
  const steps = chapters.flatMap(({ done }) => done);
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  const version = /ServerVersion: (\S+)/.exec(steps.map(({ output }) => output).join('\n'))?.[1] ?? engine;
  if (write !== undefined) writeFileSync(write, page({ tutorial, engine, version, root, chapters }));
  process.stdout.write(
    all
      ? `\nAll ${steps.length} commands of the tutorial showed what they have to, in ${seconds} s.\n`
      : `\nCommand ${steps.length} did not show what it has to. The lab is left as it is: sudo bin/lab ssh master looks into it, sudo bin/lab down removes it.\n`,
  );
  process.exitCode = all ? 0 : 1;
}

void main();
