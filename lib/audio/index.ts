export {
  type Augmentation,
  type AugmentationRanges,
  addNoise,
  augmentNotes,
  augmentWaveform,
  drawAugmentation,
} from './augment.ts';
export type { MelScale } from './mel-filters.ts';
export { MelAnalyser, type MelOptions, type MelSpectrogram, melSpectrogram } from './mel-spectrogram.ts';
export { type Patches, type PatchOptions, patches } from './patches.ts';
export { type MelodyElement, type PerformanceOptions, performTune, type SoundingNote } from './performance.ts';
export { changeTempo, shiftPitch, type VocoderOptions } from './phase-vocoder.ts';
export { resample } from './resample.ts';
export { renderSoundFont, type SoundFontOptions } from './soundfont.ts';
export {
  EMBEDDER_SAMPLE_RATE,
  LISTENING_SAMPLE_RATE,
  type SynthesiserOptions,
  synthesise,
} from './synthesiser.ts';
export { TONES, type Tone, type ToneName, type TonePartial } from './tones.ts';
export { readWav, type WavOptions, wavBytes, writeWav } from './wav.ts';
export type { Sound, WavEncoding } from './wav-format.ts';
