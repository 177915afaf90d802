import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { EncoderEmbedder } from './embedders/embedder.ts';
import { CheckpointError } from './errors.ts';
import { SequenceEncoder } from './models/sequence-encoder.ts';
import { TransformerLM, type TransformerLMConfig } from './models/transformer-lm.ts';
import type { Guidance } from './sampling-options.ts';
import { type Device, type DeviceName, device as deviceByName } from './tensor/device.ts';
import type { ComputeType } from './tensor/tensor.ts';
import {
  type DiversityReward,
  isList,
  rewardsOf,
  type TrainerOptions,
  type TrainerSettings,
} from './trainer-options.ts';

/** The files of a saved trainer, in its folder; of a list of embedders, each file has its number: embedder-0 … */
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
  /** 'encoder' when the embedder's file is in the folder; null when there was none. A list for a list of rewards. */
  embedder: SavedEmbedder | readonly SavedEmbedder[] | null;
  /** What the built-in ones among the models compute in. Absent in files of earlier versions: float32. */
  compute?: {
    student?: ComputeType;
    teacher?: ComputeType;
    embedder?: ComputeType | readonly (ComputeType | null)[];
  };
}

type SavedEmbedder = 'encoder' | 'custom';

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
  const encoders = rewardsOf(options).map(encoderOf);
  const kinds = encoders.map((encoder): SavedEmbedder => (encoder ? 'encoder' : 'custom'));
  const types = encoders.map((encoder) => encoder?.compute ?? null);
  const list = diversity !== undefined && isList(diversity);
  return {
    settings,
    guidance: teacher.guidance ? plainGuidance(teacher.guidance) : null,
    student: student instanceof TransformerLM ? student.config : null,
    teacher: teacher.model instanceof TransformerLM,
    embedder: list ? kinds : (kinds[0] ?? null),
    compute: {
      ...(student instanceof TransformerLM && { student: student.compute }),
      ...(teacher.model instanceof TransformerLM && { teacher: teacher.model.compute }),
      ...(list ? { embedder: types } : types[0] && { embedder: types[0] }),
    },
  };
}

/** Writes what does not change during training, where it is built in: the teacher and the embedder. */
export async function saveFrozenModels(folder: string, options: TrainerOptions): Promise<void> {
  const { teacher, diversity } = options;
  await mkdir(folder, { recursive: true });
  if (teacher.model instanceof TransformerLM) await teacher.model.save(join(folder, TRAINER_FILES.teacher));
  const list = diversity !== undefined && isList(diversity);
  for (const [k, reward] of rewardsOf(options).entries()) {
    await encoderOf(reward)?.save(join(folder, embedderFile(list ? k : null)));
  }
}

const encoderOf = ({ embedder }: DiversityReward): SequenceEncoder | null =>
  embedder instanceof EncoderEmbedder ? embedder.encoder : null;

/** The file of an embedder, by its number in a list. */
const embedderFile = (k: number | null): string =>
  k === null ? TRAINER_FILES.embedder : TRAINER_FILES.embedder.replace('.', `-${k}.`);

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
  const placed = (model: string, own: unknown = 'float32') => {
    if (own !== 'float32' && own !== 'bfloat16') {
      throw new CheckpointError(`${path}: expected the ${model} to compute in float32 or bfloat16, got '${own}'`, path);
    }
    return { device: place, compute: compute ?? own };
  };
  const student =
    given.student ??
    (saved.student ? new TransformerLM(saved.student, placed('student', saved.compute?.student)) : missing('student'));
  const teacher = given.teacher ?? {
    model: saved.teacher
      ? await TransformerLM.load(join(folder, TRAINER_FILES.teacher), placed('teacher', saved.compute?.teacher))
      : missing('teacher'),
    ...(saved.guidance && { guidance: guidanceOf(saved.guidance) }),
  };
  const embedder = async (kind: unknown, k: number | null, own: unknown): Promise<EncoderEmbedder> => {
    if (kind !== 'encoder') missing('embedder');
    return new EncoderEmbedder(
      await SequenceEncoder.load(join(folder, embedderFile(k)), placed('embedder', own ?? undefined)),
    );
  };
  const rewards = async (): Promise<TrainerOptions['diversity']> => {
    const kinds = saved.embedder;
    const types = saved.compute?.embedder;
    if (kinds === null || kinds === undefined) return undefined;
    if (typeof kinds === 'string' && typeof diversityWeight === 'number') {
      return { embedder: await embedder(kinds, null, types), weight: diversityWeight };
    }
    if (!Array.isArray(kinds) || !Array.isArray(diversityWeight) || kinds.length !== diversityWeight.length) {
      throw new CheckpointError(`${path}: expected as many embedders as weights of diversity in the metadata`, path);
    }
    const list: DiversityReward[] = [];
    for (const [k, kind] of kinds.entries()) {
      const own: unknown = Array.isArray(types) ? types[k] : undefined;
      list.push({ embedder: await embedder(kind, k, own), weight: diversityWeight[k] });
    }
    return list;
  };
  const diversity = given.diversity ?? (await rewards());
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
