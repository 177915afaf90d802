import { AUDIO_ENCODER_SMALL } from '../../embedders/audio-presets.ts';
import { ContrastiveTrainer } from '../../embedders/contrastive-trainer.ts';
import type { Embedder } from '../../embedders/embedder.ts';
import { TwoTower } from '../../embedders/two-tower.ts';
import { TwoTowerTrainer } from '../../embedders/two-tower-trainer.ts';
import { CheckpointError } from '../../errors.ts';
import { PatchEncoder } from '../../models/patch-encoder.ts';
import { readMetadata } from '../../models/safetensors/open.ts';
import { tuneAdherenceRetrieval, tuneAdherenceTrainer } from '../../tasks/tunes/adherence.ts';
import { tuneAudioEmbedder, tuneAudioTrainer } from '../../tasks/tunes/audio.ts';
import { EQUAL_ADHERENCE, TUNE_MEASURES, TUNE_QUALITY, tuneJudge } from '../../tasks/tunes/judge.ts';
import { TUNE_RECIPE } from '../../tasks/tunes/recipe.ts';
import { tuneRetrieval } from '../../tasks/tunes/retrieval.ts';
import type { TuneTask } from '../../tasks/tunes/task.ts';
import { TuneEmbedder, tuneEmbedderTrainer } from '../../tasks/tunes/tune-embedder.ts';
import type { ModelPlacement } from '../placement.ts';
import { loadSymbolicEncoder } from './encoder-file.ts';
import type { Adherence, EmbedderSettings, EmbedderTraining, EncoderTraining } from './task.ts';

const { embedder, audio, adherence } = TUNE_RECIPE;

/** What the commands may change of each, as the recipe has it. */
export const TUNE_ENCODERS = {
  symbolic: settingsOf(embedder),
  audio: settingsOf({ ...AUDIO_ENCODER_SMALL, ...audio.shape, ...audio }),
  adherence: settingsOf(adherence),
};

function settingsOf({ depth, width, heads, dimensions, steps, batchSize }: EmbedderSettings): EmbedderSettings {
  return { depth, width, heads, dimensions, steps, batchSize };
}

/** The part of a recipe that the commands may change; inner layers are twice as wide as the model. */
function recipeOf(settings: EmbedderSettings) {
  return { ...settingsOf(settings), feedForwardWidth: 2 * settings.width };
}

export async function symbolicTraining(
  task: TuneTask,
  settings: EmbedderSettings,
  placement: ModelPlacement,
  resumed: string | null,
): Promise<EmbedderTraining> {
  const fresh = tuneEmbedderTrainer(task, { ...embedder, ...recipeOf(settings) }, placement);
  const { encoder } = fresh.options;
  const own = new TuneEmbedder(task, encoder);
  return {
    trainer: resumed === null ? fresh : await ContrastiveTrainer.resume(resumed, fresh.options),
    encoder,
    embedder: own,
    save: (path, metadata) => encoder.save(path, { metadata }),
    retrieval: () => tuneRetrieval(task, own),
  };
}

export async function audioTraining(
  task: TuneTask,
  settings: EmbedderSettings,
  placement: ModelPlacement,
  resumed: string | null,
): Promise<EmbedderTraining> {
  const { depth, width, heads, feedForwardWidth, ...rest } = recipeOf(settings);
  const shape = { depth, width, heads, headWidth: width / heads, feedForwardWidth };
  const fresh = tuneAudioTrainer(task, { ...audio, ...rest, shape }, placement);
  const { encoder } = fresh.options;
  const own = tuneAudioEmbedder(task, encoder);
  return {
    trainer: resumed === null ? fresh : await ContrastiveTrainer.resume(resumed, fresh.options),
    encoder,
    embedder: own,
    save: (path, metadata) => own.save(path, { metadata }),
    retrieval: () => tuneRetrieval(task, own),
  };
}

/** An embedder of either kind, by what the file says it is. Rejects with CheckpointError when it does not fit. */
export async function loadTuneEmbedder(path: string, task: TuneTask, placement: ModelPlacement): Promise<Embedder> {
  const metadata = await readMetadata(path);
  if (metadata.kind === PatchEncoder.kind) {
    const heard = tuneAudioEmbedder(task, await PatchEncoder.load(path, placement));
    const front = JSON.stringify(heard.front.options);
    if (metadata.audio === front) return heard;
    heard.encoder.dispose();
    throw new CheckpointError(
      `${path}: expected an encoder of audio as ${front}, got ${metadata.audio ?? 'none'}`,
      path,
    );
  }
  const own = { name: task.name, tokens: task.answerTokens, positions: task.maxTokens };
  return new TuneEmbedder(task, await loadSymbolicEncoder(path, own, placement));
}

export async function adherenceTraining(
  task: TuneTask,
  settings: EmbedderSettings,
  placement: ModelPlacement,
  resumed: string | null,
): Promise<EncoderTraining> {
  const { width, heads, feedForwardWidth } = recipeOf(settings);
  const text = { depth: adherence.text.depth, width, heads, feedForwardWidth };
  const fresh = tuneAdherenceTrainer(task, { ...adherence, ...recipeOf(settings), text }, placement);
  const { towers } = fresh.options;
  return {
    trainer: resumed === null ? fresh : await TwoTowerTrainer.resume(resumed, fresh.options),
    save: (path, metadata) => towers.save(path, { metadata }),
    retrieval: () => tuneAdherenceRetrieval(task, towers),
  };
}

/** Rejects with CheckpointError when the file does not fit. */
export async function loadTuneAdherence(path: string, task: TuneTask, placement: ModelPlacement): Promise<Adherence> {
  const towers = await TwoTower.load(path, placement);
  const { text, music } = towers;
  const positions = Math.min(text.config.maxPositions, music.config.maxPositions);
  const fits = text.vocabularySize === task.vocabularySize && music.vocabularySize === task.answerTokens;
  if (!fits || positions < task.maxTokens) {
    towers.dispose();
    throw new CheckpointError(
      `${path}: task '${task.name}' expects towers of ${task.vocabularySize} and ${task.answerTokens} tokens and at ` +
        `least ${task.maxTokens} positions, got ${text.vocabularySize}, ${music.vocabularySize} and ${positions}`,
      path,
    );
  }
  return {
    judge: (prompts) =>
      tuneJudge(
        task,
        prompts.map((prompt) => prompt.text),
        towers,
      ),
    retrieval: () => tuneAdherenceRetrieval(task, towers),
    quality: TUNE_QUALITY,
    measures: TUNE_MEASURES,
    margin: EQUAL_ADHERENCE,
  };
}
