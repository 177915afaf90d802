import { join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { option, seed, text } from '../options.ts';
import { type PlacementFlags, placementJson, placementOf, placementOptions } from '../placement.ts';
import { reportText, secondsText } from '../report-text.ts';
import { action, type Result, type Session } from '../session.ts';
import { TUNE_FILES } from '../tunes/report-files.ts';
import { runTunes } from '../tunes/run.ts';

interface Options extends PlacementFlags {
  seed?: number;
  output?: string;
  quick?: boolean;
}

export function tunesCommand(program: Command): void {
  const command = program
    .command('tunes')
    .summary('the whole method on your melodies, with a report to look at and to listen to (half an hour)')
    .description(
      'Reads melodies, which should be labelled with what they are (ABC, MIDI, or JSON lines), and trains a model that writes ' +
        'such melodies to a prompt; trains what judges them: an embedder that reads them, one that listens to them, and ' +
        'a model of how well melody and prompt go together; distills with several diversity weights, merges, and judges all ' +
        'of it against guidance and other sampling strategies on prompts held out from training. Writes checkpoints, ' +
        'report.json, samples.json, report.html, a page with players to open in a browser, and melodies as ABC, MIDI and ' +
        'sound. Interrupted, it goes on from there when started again.',
    )
    .argument('<data>', 'a file or folder of .abc, .mid, .midi, .jsonl or .jsonl.gz files')
    .addOption(option('--seed <n>', 'of the training and the draws (default: 1)', seed))
    .addOption(
      option(
        '-o, --output <folder>',
        'where to write: a new folder, or an earlier run (default: cfgdistill-tunes)',
        text,
      ),
    )
    .addOption(
      new Option(
        '--quick',
        'small models and few steps: the same path in under a minute, with figures that mean little',
      ),
    );
  for (const made of placementOptions()) command.addOption(made);
  action<Options, [data: string]>(command, {
    stopping: 'Stopping: what is done is kept.',
    body: tunes,
  });
}

async function tunes(options: Options, { progress, signal, note }: Session, data: string): Promise<Result> {
  const { output = 'cfgdistill-tunes', quick = false } = options;
  const placement = await placementOf(options);
  const run = { data, seed: options.seed ?? 1, output, quick, placement, progress, log: note, signal };
  const report = await runTunes(run);
  const files = Object.values(TUNE_FILES).map((name) => join(output, name));
  const { training: _, ...figures } = report;
  return {
    json: { command: 'tunes', data, output, quick, files, ...placementJson(placement), ...figures },
    text: reportText(report, {
      seed: `seed ${report.seed}`,
      where: [secondsText(report.seconds), `Report: ${resolve(output, TUNE_FILES.page)}`],
    }),
  };
}
