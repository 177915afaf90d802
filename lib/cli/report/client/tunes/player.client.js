// Plays one tune at a time: an oscillator with an envelope for each note.

/** Seconds: before the first note, of a note's rise, of its fall to a third while held, of its end. */
const LEAD = 0.06;
const ATTACK = 0.008;
const DECAY = 0.45;
const RELEASE = 0.035;
const SUSTAIN = 0.3;
const LOUDNESS = 0.32;
/** Of a note's duration it is held this much, so that equal ones after another can be told apart. */
const HELD = 0.93;
const PARTIALS = 14;
/** Seconds ahead for which notes are handed to the sound. */
const AHEAD = 0.6;

let context = null;
let wave = null;
let playing = null;

/** The partials of a string plucked at a fifth of its length. */
function pluckedWave() {
  const amplitudes = Float32Array.from({ length: PARTIALS + 1 }, (_, partial) =>
    partial === 0 ? 0 : Math.sin(Math.PI * partial * 0.21) / partial ** 1.7,
  );
  return context.createPeriodicWave(new Float32Array(PARTIALS + 1), amplitudes);
}

function sound(note, at, seconds, output) {
  const held = at + Math.max(seconds * HELD, 2 * ATTACK);
  const gain = new GainNode(context, { gain: 0 });
  gain.gain.setValueAtTime(0, at);
  gain.gain.linearRampToValueAtTime(LOUDNESS, at + ATTACK);
  gain.gain.setTargetAtTime(LOUDNESS * SUSTAIN, at + ATTACK, DECAY);
  gain.gain.setTargetAtTime(0, held, RELEASE);
  const frequency = 440 * 2 ** ((note.pitch - 69) / 12);
  const oscillator = new OscillatorNode(context, { frequency, periodicWave: wave });
  oscillator.connect(gain).connect(output);
  oscillator.start(at);
  oscillator.stop(held + 8 * RELEASE);
}

/** Ends what is playing, if anything. */
function stop() {
  if (playing === null) return;
  const { output, frame, timer, onEnd } = playing;
  playing = null;
  cancelAnimationFrame(frame);
  clearInterval(timer);
  output.gain.setTargetAtTime(0, context.currentTime, 0.015);
  setTimeout(() => output.disconnect(), 200);
  onEnd();
}

/**
 * Plays a tune from a position.
 *
 * @param tune `{ notes, ticks }`
 * @param options `from` in ticks, `ticksPerSecond`, `onPosition(ticks)` at every frame, `onEnd()`
 */
function play(tune, { from, ticksPerSecond, onPosition, onEnd }) {
  stop();
  context ??= new AudioContext();
  wave ??= pluckedWave();
  context.resume();
  const output = new GainNode(context, { gain: 1 });
  output.connect(context.destination);
  const began = context.currentTime + LEAD;
  const notes = tune.notes.filter(({ end }) => end > from);
  const ticksNow = () => from + Math.max(0, context.currentTime - began) * ticksPerSecond;
  let next = 0;
  const schedule = () => {
    const until = ticksNow() + AHEAD * ticksPerSecond;
    for (; next < notes.length && notes[next].start < until; next++) {
      const note = notes[next];
      const start = Math.max(note.start, from);
      sound(note, began + (start - from) / ticksPerSecond, (note.end - start) / ticksPerSecond, output);
    }
  };
  const follow = () => {
    const ticks = ticksNow();
    if (ticks >= tune.ticks) {
      stop();
      return;
    }
    onPosition(ticks);
    playing.frame = requestAnimationFrame(follow);
  };
  schedule();
  playing = { output, onEnd, timer: setInterval(schedule, 150), frame: requestAnimationFrame(follow), ticksNow };
}

/** Where the tune is that is playing, in ticks; null when none is. */
function position() {
  return playing === null ? null : playing.ticksNow();
}

Object.assign(globalThis.cfgdistill, { player: { play, stop, position, available: 'AudioContext' in globalThis } });
