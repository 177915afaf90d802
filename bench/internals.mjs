// The built library's parts that are not its public face and that the benchmarks need, in one place.
export { writeFileAtomic } from '../dist/files.js';
export { fillParameters } from '../dist/models/model-file.js';
export { toFloat32 } from '../dist/models/safetensors/floats.js';
export { layOut } from '../dist/models/safetensors/layout.js';
export { native } from '../dist/native.js';
export { ChordTask } from '../dist/tasks/chords/index.js';
export { CHORD_RECIPE } from '../dist/tasks/chords/recipe.js';
export {
  readTunes,
  TUNE_BASE,
  TUNE_RECIPE,
  TuneEmbedder,
  TuneTask,
  tuneAdherenceRetrieval,
  tuneAdherenceTrainer,
  tuneAudioEmbedder,
  tuneAudioTrainer,
  tuneBaseTrainer,
  tuneEmbedderTrainer,
  tuneRetrieval,
} from '../dist/tasks/tunes/index.js';
