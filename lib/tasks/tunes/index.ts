export { type ReadAbcOptions, readAbc, readAbcTune } from './abc/read.ts';
export { writeAbc, writeAbcFile } from './abc/write.ts';
export { countFullBars, type Measure, measuresOf } from './bars.ts';
export { checkTune, type TuneChecks } from './checks.ts';
export { type Copying, Corpus } from './copying.ts';
export { FullBars } from './full-bars.ts';
export { readMidi } from './midi/read.ts';
export { writeMidi } from './midi/write.ts';
export type { TuneProblem, TunesRead } from './problem.ts';
export { type AskedFor, askedFor, promptText } from './prompt.ts';
export { type ReadTunesOptions, readTunes, type SplitTune } from './read-tunes.ts';
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
export { unroll } from './unroll.ts';
export { STOP_TOKEN, TuneVocabulary, type TuneVocabularyJson } from './vocabulary.ts';
