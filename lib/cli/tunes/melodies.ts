import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ValueError } from '../../errors.ts';
import type { Evaluation } from '../../evaluation/evaluate.ts';
import type { Family, PointParameters } from '../../evaluation/types.ts';
import { writeFileAtomic } from '../../files.ts';
import { generatedTune } from '../../tasks/tunes/generated-tune.ts';
import { tuneFiles } from '../../tasks/tunes/play.ts';
import type { TuneTask } from '../../tasks/tunes/task.ts';
import { Turns } from '../../turns.ts';
import { fileStem } from '../file-stem.ts';
import { spread } from './prompts.ts';

const PROMPTS = 4;
const SAMPLES = 2;

/**
 * Writes melodies to hear, as ABC, MIDI and sound: a few prompts, each under the base model, under guidance, distilled
 * and merged. One that cannot be written in the key asked for is left out.
 *
 * @returns how many there are
 */
export async function writeMelodies(
  folder: string,
  task: TuneTask,
  judged: readonly Evaluation[],
  { prompts, scale, signal }: { prompts: readonly string[]; scale: number; signal: AbortSignal },
): Promise<number> {
  const heard = judged.filter(({ point: { family, parameters } }) => isHeard(family, parameters, scale));
  const turns = new Turns();
  let written = 0;
  for (const p of spread([...prompts.keys()], PROMPTS)) {
    const text = prompts[p] as string;
    const own = join(folder, fileStem(text));
    await mkdir(own, { recursive: true });
    for (const { point, generations } of heard) {
      for (const [s, tokens] of (generations[p] as Int32Array[]).slice(0, SAMPLES).entries()) {
        signal.throwIfAborted();
        try {
          const files = await tuneFiles(generatedTune(task.vocabulary, text, tokens));
          const path = join(own, `${fileStem(point.name)}-${s + 1}`);
          await writeFileAtomic(`${path}.abc`, files.abc);
          await writeFileAtomic(`${path}.mid`, files.midi);
          await writeFileAtomic(`${path}.wav`, files.wav);
          written++;
        } catch (error) {
          if (!(error instanceof ValueError)) throw error;
        }
        await turns.pause();
      }
    }
  }
  return written;
}

/** The generators of the method itself: the base, its guided self that teaches, and trained models without strategies. */
function isHeard(family: Family, { scale, temperature, topK, topP }: PointParameters, teacher: number): boolean {
  if (temperature !== undefined || topK !== undefined || topP !== undefined) return false;
  return family === 'guidance' ? scale === teacher : family !== 'off-policy';
}
