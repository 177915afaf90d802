import type { Command } from 'commander';
import { baseProgram } from './base-program.ts';
import { demoCommand } from './commands/demo.ts';
import { distillCommand } from './commands/distill.ts';
import { doctorCommand } from './commands/doctor.ts';
import { evaluateCommand } from './commands/evaluate.ts';
import { mergeCommand } from './commands/merge.ts';
import { sampleCommand } from './commands/sample.ts';
import { trainAdherenceCommand } from './commands/train-adherence.ts';
import { trainBaseCommand } from './commands/train-base.ts';
import { trainEmbedderCommand } from './commands/train-embedder.ts';
import { tunesCommand } from './commands/tunes.ts';

/** The command line of the package. Parsing rejects with what went wrong and leaves the exit status to its caller. */
export function createProgram(): Command {
  const program = baseProgram().addHelpText(
    'after',
    `
The whole method at once:
  $ cfgdistill demo

Step by step:
  $ cfgdistill train-base     --output base.safetensors
  $ cfgdistill train-embedder --output embedder.safetensors
  $ cfgdistill distill --base base.safetensors --output quality.safetensors
  $ cfgdistill distill --base base.safetensors --embedder embedder.safetensors --beta 2 --output diverse.safetensors
  $ cfgdistill merge --quality quality.safetensors --diverse diverse.safetensors --weights 0.25,0.5,0.75
  $ cfgdistill sample --model merged-0.5.safetensors --prompt "guitar C major"
  $ cfgdistill evaluate --base base.safetensors --model quality.safetensors --model merged-0.5.safetensors \\
      --embedder embedder.safetensors

On a folder of tunes (ABC, MIDI or JSON lines), where a model measures the quality:
  $ cfgdistill train-base      --task tunes --data tunes/
  $ cfgdistill train-embedder  --task tunes --data tunes/
  $ cfgdistill train-embedder  --task tunes --data tunes/ --kind audio --output audio.safetensors
  $ cfgdistill train-adherence --task tunes --data tunes/
  $ cfgdistill distill  --data tunes/ --base base.safetensors --embedder embedder.safetensors --beta 5
  $ cfgdistill sample   --model distilled-5.safetensors --prompt "a jig in 6/8, D major" --full-bars --output heard/
  $ cfgdistill evaluate --data tunes/ --base base.safetensors --model distilled-5.safetensors --output judged/ \\
      --embedder embedder.safetensors --independent audio.safetensors --adherence adherence.safetensors

What this machine has, and what to do where something is missing:
  $ cfgdistill doctor

Exit status: 0 done, 1 an error, 2 a wrong command line, 130 interrupted. CFGDISTILL_THREADS sets the number of threads.`,
  );
  const add = [
    demoCommand,
    tunesCommand,
    trainBaseCommand,
    trainEmbedderCommand,
    trainAdherenceCommand,
    distillCommand,
    sampleCommand,
    mergeCommand,
    evaluateCommand,
    doctorCommand,
  ];
  for (const register of add) register(program);
  return program;
}
