import { join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { REPORT_FILES } from '../demo/report-files.ts';
import { runDemo } from '../demo/run.ts';
import { option, seed, text } from '../options.ts';
import { type PlacementFlags, placementJson, placementOf, placementOptions } from '../placement.ts';
import { reportText, secondsText } from '../report-text.ts';
import { action, type Result, type Session } from '../session.ts';

interface Options extends PlacementFlags {
  seed?: number;
  output?: string;
  quick?: boolean;
}

export function demoCommand(program: Command): void {
  const command = program
    .command('demo')
    .summary('the whole method on real chord voicings, with a report (a few minutes)')
    .description(
      'Trains a base model and an embedder on voicings of guitar and ukulele chords, distills with several diversity ' +
        'weights, merges, and judges all of it against guidance and other sampling strategies on prompts held out from ' +
        'training. Writes checkpoints, report.json, samples.json and report.html, a page to open in a browser. ' +
        'Interrupted, it goes on with the finished stages when started again. 35 % of the training captions are wrong on ' +
        'purpose: with clean ones this small task leaves guidance nothing to do.',
    )
    .addOption(option('--seed <n>', 'of the split, the training and the draws (default: 1)', seed))
    .addOption(
      option(
        '-o, --output <folder>',
        'where to write: a new folder, or an earlier run (default: cfgdistill-demo)',
        text,
      ),
    )
    .addOption(new Option('--quick', 'fewer steps: the same path in some 20 seconds, with figures that mean little'));
  for (const made of placementOptions()) command.addOption(made);
  action<Options>(command, { stopping: 'Stopping: finished stages are kept.', body: demo });
}

async function demo(options: Options, { progress, signal, note }: Session): Promise<Result> {
  const { output = 'cfgdistill-demo', quick = false } = options;
  const placement = await placementOf(options);
  const report = await runDemo({ seed: options.seed ?? 1, output, quick, placement, progress, log: note, signal });
  const files = Object.values(REPORT_FILES).map((name) => join(output, name));
  const { training: _, ...figures } = report;
  return {
    json: { command: 'demo', output, quick, files, ...placementJson(placement), ...figures },
    text: reportText(report, {
      seed: `seed ${report.seed}`,
      where: [secondsText(report.seconds), `Report: ${resolve(output, REPORT_FILES.page)}`],
    }),
  };
}
