import { basename } from 'node:path';
import type { Command } from 'commander';
import { BASE_SWEEP, TRAINED_SWEEP } from '../../evaluation/strategies.ts';
import { judgeSubjects } from '../evaluation/judge-subjects.ts';
import { type EvaluationOptions, type NamedModel, openSubjects } from '../evaluation/subjects.ts';
import {
  integer,
  listOf,
  notNegative,
  number,
  oneOf,
  option,
  type Parser,
  probability,
  repeatable,
  seed,
  text,
} from '../options.ts';
import { placementJson, placementOf, placementOptions } from '../placement.ts';
import { reportText } from '../report-text.ts';
import { action, type Result, type Session } from '../session.ts';
import { dataJson, dataOption } from '../task-data.ts';
import { defaultText, TASK_NAMES } from '../tasks.ts';

/** `name=path`, or a path that is named after its file. */
const namedModel: Parser<NamedModel> = {
  expected: 'a checkpoint as path or name=path',
  parse: (given) => {
    const at = given.indexOf('=');
    const path = given.slice(at + 1);
    const name = at < 0 ? basename(path, '.safetensors') : given.slice(0, at);
    return name && path ? { name, path } : undefined;
  },
};

export function evaluateCommand(program: Command): void {
  const listed = (values: readonly number[]) => `(default: ${values.join(',') || 'none'})`;
  const counts = listOf(integer(1));
  const command = program
    .command('evaluate')
    .summary('judge models and sampling strategies on held-out prompts')
    .description(
      'Draws generations for the prompts held out from training and prints quality, diversity by the embedder, a second ' +
        'diversity that no model was rewarded for, distinct valid generations per prompt, passes and speed, with 95 % ' +
        'intervals. The base model is judged under every strategy, trained models plain and with strategies on top.',
    )
    .addOption(option('--base <file>', 'checkpoint of train-base', text))
    .addOption(
      repeatable('--model <[name=]file>', 'checkpoint of distill or merge; may be given several times', namedModel),
    )
    .addOption(option('--embedder <file>', 'checkpoint of train-embedder, measures diversity', text))
    .addOption(
      option(
        '--independent <file>',
        'another one that nothing was rewarded by, measures independent diversity; needed for tunes (default: what the ' +
          'task measures by rule)',
        text,
      ),
    )
    .addOption(
      option(
        '--adherence <file>',
        'checkpoint of train-adherence, measures quality; needed for tunes, not for chords',
        text,
      ),
    )
    .addOption(dataOption())
    .addOption(
      option('--scales <list>', `guidance scales of the base, or none ${listed(BASE_SWEEP.scales)}`, listOf(number())),
    )
    .addOption(
      option('--temperatures <list>', `of the base, or none ${listed(BASE_SWEEP.temperatures)}`, listOf(notNegative)),
    )
    .addOption(option('--top-ks <list>', `of the base, or none ${listed(BASE_SWEEP.topKs)}`, counts))
    .addOption(option('--top-ps <list>', `of the base, or none ${listed(BASE_SWEEP.topPs)}`, listOf(probability)))
    .addOption(
      option(
        '--trained-temperatures <list>',
        `on top of trained models, or none ${listed(TRAINED_SWEEP.temperatures)}`,
        listOf(notNegative),
      ),
    )
    .addOption(
      option('--trained-top-ks <list>', `on top of trained models, or none ${listed(TRAINED_SWEEP.topKs)}`, counts),
    )
    .addOption(
      option(
        '--trained-top-ps <list>',
        `on top of trained models, or none ${listed(TRAINED_SWEEP.topPs)}`,
        listOf(probability),
      ),
    )
    .addOption(
      option(
        '-n, --samples <n>',
        `generations per prompt ${defaultText((t) => t.defaults.evaluationSamples)}`,
        integer(2),
      ),
    )
    .addOption(option('--prompts <n>', 'only the first n held-out prompts (default: all)', integer(1)))
    .addOption(option('--rounds <n>', 'rounds of timing, 0 for none (default: 3)', integer(0, 1000)))
    .addOption(option('--seed <n>', 'of the draws and the intervals (default: that of the split)', seed))
    .addOption(
      option('--task <name>', `${TASK_NAMES.join(', ')} (default: what the checkpoints tell)`, oneOf(TASK_NAMES)),
    )
    .addOption(option('--split-seed <n>', 'seed of the split (default: what the checkpoints tell)', seed))
    .addOption(option('--max-tokens <n>', 'of a generation (default: a whole chord; 128 for tunes)', integer(1)))
    .addOption(
      option(
        '-o, --output <folder>',
        'keep what is judged there and go on with it when started again; report.json is written there, too',
        text,
      ),
    );
  for (const made of placementOptions()) command.addOption(made);
  action<EvaluationOptions>(command, { stopping: 'Stopping.', body: evaluateModels });
}

async function evaluateModels(options: EvaluationOptions, session: Session): Promise<Result> {
  const placement = await placementOf(options);
  const subjects = await openSubjects(options, placement, session);
  const { task } = subjects;
  const { report, seconds } = await judgeSubjects(subjects, options, placement, session);
  const { training: _, seconds: __, schema: ___, ...figures } = report;
  return {
    json: {
      command: 'evaluate',
      splitSeed: task.seed,
      ...dataJson(task),
      ...placementJson(placement),
      ...figures,
      rollouts: report.rollouts ?? [],
      seconds,
      ...(options.output !== undefined && { output: options.output }),
    },
    text: reportText(report, {
      seed: `split of seed ${task.seed}`,
      where: options.output === undefined ? [] : [`What was judged, and report.json: ${options.output}`],
    }),
  };
}
