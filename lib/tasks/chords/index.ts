export { type ChordDatabase, loadChordDatabase, type Voicing } from './dataset.ts';
export { type ChordPrompt, INSTRUMENTS, type Instrument, KEYS, normaliseKey, TUNINGS } from './music.ts';
export { ChordTask, type ChordTaskOptions } from './task.ts';
export type { TrainingRow } from './training.ts';
export { stringDifference } from './validity.ts';
export type { ChordItem } from './views.ts';
