import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { EncoderEmbedder } from './embedders/embedder.ts';
import { CheckpointError } from './errors.ts';
import { SequenceEncoder } from './models/sequence-encoder.ts';
import { TransformerLM, type TransformerLMConfig } from './models/transformer-lm.ts';
import type { Guidance } from './sampling-options.ts';
import { type Device, type DeviceName, device as deviceByName } from './tensor/device.ts';
import type { ComputeType } from './tensor/tensor.ts';
import type { TrainerOptions, TrainerSettings } from './trainer-options.ts';

/** The files of a saved trainer, in its folder. */
export const TRAINER_FILES = {
  training: 'trainer.safetensors',
  teacher: 'teacher.safetensors',
  embedder: 'embedder.safetensors',
} as const;

/** What the training file says of a trainer, besides weights and moments. */
export interface SavedTrainer {
  settings: TrainerSettings;
  guidance: PlainGuidance | null;
  /** Config of the student; null when it is not a built-in model. */
  student: TransformerLMConfig | null;
  /** Whether the teacher's file is in the folder. */
  teacher: boolean;
  /** 'encoder' when the embedder's file is in the folder; null when there was none. */
  embedder: 'encoder' | 'custom' | null;
  /** What the built-in ones among the models compute in. Absent in files of earlier versions: float32. */
  compute?: { [M in 'student' | 'teacher' | 'embedder']?: ComputeType };
}

/** What a saved trainer is resumed with. */
export interface ResumeOptions extends Partial<TrainerOptions> {
  /** Where the saved models go; those given stay where they are. Default 'cpu'. */
  device?: DeviceName | Device;
  /** What the saved models compute in. Default: what each computed in before. */
  compute?: ComputeType;
}

interface PlainGuidance {
  scale: number | number[];
  negative: number[] | number[][];
}

/** A trainer's options as plain data. */
export function describeTrainer(settings: TrainerSettings, options: TrainerOptions): SavedTrainer {
  const { student, teacher, diversity } = options;
  const encoder = diversity?.embedder instanceof EncoderEmbedder ? diversity.embedder.encoder : null;
  return {
    settings,
    guidance: teacher.guidance ? plainGuidance(teacher.guidance) : null,
    student: student instanceof TransformerLM ? student.config : null,
    teacher: teacher.model instanceof TransformerLM,
    embedder: diversity ? (encoder ? 'encoder' : 'custom') : null,
    compute: {
      ...(student instanceof TransformerLM && { student: student.compute }),
      ...(teacher.model instanceof TransformerLM && { teacher: teacher.model.compute }),
      ...(encoder && { embedder: encoder.compute }),
    },
  };
}

/** Writes what does not change during training, where it is built in: the teacher and the embedder. */
export async function saveFrozenModels(folder: string, { teacher, diversity }: TrainerOptions): Promise<void> {
  await mkdir(folder, { recursive: true });
  if (teacher.model instanceof TransformerLM) await teacher.model.save(join(folder, TRAINER_FILES.teacher));
  if (diversity?.embedder instanceof EncoderEmbedder) {
    await diversity.embedder.encoder.save(join(folder, TRAINER_FILES.embedder));
  }
}

/**
 * The options of a saved trainer: those given, else the saved ones.
 *
 * Rejects with CheckpointError when a model is needed that is neither built in nor given, or the file says nonsense;
 * with DeviceError when the device is not there.
 */
export async function savedTrainerOptions(
  folder: string,
  saved: SavedTrainer,
  { device = 'cpu', compute, ...given }: ResumeOptions,
): Promise<TrainerOptions> {
  const path = join(folder, TRAINER_FILES.training);
  if (typeof saved?.settings !== 'object' || saved.settings === null) {
    throw new CheckpointError(`${path}: expected the settings of a trainer in the metadata, got none`, path);
  }
  const { stopToken, diversityWeight, ...settings } = saved.settings;
  const missing = (what: string): never => {
    throw new CheckpointError(`${path}: the ${what} is not a built-in model: give it again to resume()`, path);
  };
  const place = await deviceByName(device);
  const placed = (model: 'student' | 'teacher' | 'embedder') => {
    const own = saved.compute?.[model] ?? 'float32';
    if (own !== 'float32' && own !== 'bfloat16') {
      throw new CheckpointError(`${path}: expected the ${model} to compute in float32 or bfloat16, got '${own}'`, path);
    }
    return { device: place, compute: compute ?? own };
  };
  const student =
    given.student ?? (saved.student ? new TransformerLM(saved.student, placed('student')) : missing('student'));
  const teacher = given.teacher ?? {
    model: saved.teacher
      ? await TransformerLM.load(join(folder, TRAINER_FILES.teacher), placed('teacher'))
      : missing('teacher'),
    ...(saved.guidance && { guidance: guidanceOf(saved.guidance) }),
  };
  const embedder = async (): Promise<EncoderEmbedder> => {
    if (saved.embedder === 'custom') missing('embedder');
    return new EncoderEmbedder(await SequenceEncoder.load(join(folder, TRAINER_FILES.embedder), placed('embedder')));
  };
  const diversity =
    given.diversity ?? (saved.embedder ? { embedder: await embedder(), weight: diversityWeight } : undefined);
  return {
    ...settings,
    ...(stopToken !== null && { stopToken }),
    ...given,
    student,
    teacher,
    ...(diversity && { diversity }),
  };
}

function plainGuidance({ scale, negative }: Guidance): PlainGuidance {
  return {
    scale: typeof scale === 'number' ? scale : [...scale],
    negative: negative instanceof Int32Array ? [...negative] : negative.map((tokens) => [...tokens]),
  };
}

function guidanceOf({ scale, negative }: PlainGuidance): Guidance {
  const nested = Array.isArray(negative[0]);
  return {
    scale: typeof scale === 'number' ? scale : Float32Array.from(scale),
    negative: nested
      ? (negative as number[][]).map((tokens) => Int32Array.from(tokens))
      : Int32Array.from(negative as number[]),
  };
}
