// Plays a voicing: plucked strings by the Karplus–Strong algorithm, one after another.

const { data } = globalThis.cfgdistill;

const SECONDS = 2.2;
const DELAY_BETWEEN_STRINGS = 0.045;

const tunings = new Map(data.gallery.tunings);
const plucked = new Map();
let context = null;
let playing = null;

/** A string plucked at a MIDI pitch: noise going round a delay line of one period, averaged at every turn. */
function pluck(pitch) {
  const known = plucked.get(pitch);
  if (known !== undefined) return known;
  const { sampleRate } = context;
  const period = Math.max(2, Math.round(sampleRate / (440 * 2 ** ((pitch - 69) / 12))));
  const buffer = context.createBuffer(1, Math.round(SECONDS * sampleRate), sampleRate);
  const samples = buffer.getChannelData(0);
  for (let index = 0; index < period; index++) samples[index] = Math.random() - 0.5;
  for (let index = period + 1; index < samples.length; index++) {
    samples[index] = 0.498 * (samples[index - period] + samples[index - period - 1]);
  }
  plucked.set(pitch, buffer);
  return buffer;
}

/** Whether voicings of this instrument can be played. */
function canStrum(instrument) {
  return tunings.has(instrument) && 'AudioContext' in globalThis;
}

/** Plays the strings of a voicing that sound, and ends what was playing. */
function strum(instrument, frets) {
  context ??= new AudioContext();
  context.resume();
  const now = context.currentTime;
  playing?.gain.setTargetAtTime(0, now, 0.02);
  playing = new GainNode(context, { gain: 0.5 });
  playing.connect(context.destination);
  const tuning = tunings.get(instrument);
  let order = 0;
  frets.forEach((fret, string) => {
    if (fret < 0 || string >= tuning.length) return;
    const source = new AudioBufferSourceNode(context, { buffer: pluck(tuning[string] + fret) });
    source.connect(playing);
    source.start(now + DELAY_BETWEEN_STRINGS * order++);
  });
}

Object.assign(globalThis.cfgdistill, { canStrum, strum });
