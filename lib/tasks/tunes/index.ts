export { type ReadAbcOptions, readAbc, readAbcTune } from './abc/read.ts';
export { writeAbc, writeAbcFile } from './abc/write.ts';
export { adherenceText, tuneAdherenceRetrieval, tuneAdherenceTrainer } from './adherence.ts';
export { tuneAudioEmbedder, tuneAudioTrainer } from './audio.ts';
export { countFullBars, type Measure, measuresOf } from './bars.ts';
export { checkTune, type TuneChecks } from './checks.ts';
export { type Copying, Corpus } from './copying.ts';
export { FullBars } from './full-bars.ts';
export { TUNE_MEASURES, TUNE_QUALITY, tuneJudge } from './judge.ts';
export { readMidi } from './midi/read.ts';
export { writeMidi } from './midi/write.ts';
export type { TuneProblem, TunesRead } from './problem.ts';
export { type AskedFor, askedFor, promptText, withoutTonic } from './prompt.ts';
export { type ReadTunesOptions, readTunes, type SplitTune } from './read-tunes.ts';
export {
  QUICK_TUNE_RECIPE,
  TUNE_BASE,
  TUNE_RECIPE,
  type TuneAdherenceRecipe,
  type TuneAudioRecipe,
  type TuneBaseRecipe,
  type TuneDistillRecipe,
  type TuneEmbedderRecipe,
  type TuneRecipe,
  tuneBaseTrainer,
} from './recipe.ts';
export { type Retrieval, tuneRetrieval } from './retrieval.ts';
export { type TuneRow, TuneTask, type TuneTaskOptions } from './task.ts';
export { fromCommonKey, toCommonKey, transpose } from './transpose.ts';
export {
  BAR_LINES,
  type Bar,
  type BarLine,
  MODES,
  type Mode,
  type Note,
  TICKS_PER_WHOLE,
  type Tune,
  type TuneLabels,
} from './tune.ts';
export { TuneEmbedder, tuneEmbedderTrainer } from './tune-embedder.ts';
export { unroll } from './unroll.ts';
export { STOP_TOKEN, TuneVocabulary, type TuneVocabularyJson } from './vocabulary.ts';
