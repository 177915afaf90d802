// Reads the packed tunes: what each character stands for is told by the page's data.

const { data } = globalThis.cfgdistill;

const { prompts, tokens, tunes } = data.gallery;
const meanings = new Map(tokens);
const read = new Map();

/**
 * A tune in time: notes `{ pitch, start, end }` in ticks, tied ones joined and rests left out, bar lines `{ at, line }`,
 * and the stretches of time whose measure is not full.
 */
function timeline(melody, uneven) {
  const notes = [];
  const bars = [];
  const measures = [];
  let now = 0;
  let begin = 0;
  let held = null;
  for (const character of melody) {
    const token = meanings.get(character);
    if (typeof token === 'string') {
      bars.push({ at: now, line: token });
      if (now > begin) measures.push([begin, now]);
      begin = now;
      continue;
    }
    const [pitch, ticks, tied] = token;
    if (held !== null && held.pitch === pitch) held.end += ticks;
    else if (pitch !== null) {
      held = { pitch, start: now, end: now + ticks };
      notes.push(held);
    }
    now += ticks;
    if (tied === 0 || pitch === null) held = null;
  }
  if (now > begin) measures.push([begin, now]);
  return { notes, bars, measures: measures.length, ticks: now, uneven: uneven.map((index) => measures[index]) };
}

/** The tunes of one generator for one prompt. */
function tunesOf(point, prompt) {
  const key = `${point} ${prompt}`;
  if (read.has(key)) return read.get(key);
  const { melodies, quality, valid, map, uneven } = tunes[point][prompt];
  const all = melodies.map((melody, sample) => ({
    point,
    prompt,
    sample,
    ...timeline(melody, uneven[sample]),
    quality: quality[sample],
    valid: valid[sample] === '1',
    place: { x: map[2 * sample], y: map[2 * sample + 1] },
  }));
  read.set(key, all);
  return all;
}

/** Indices of the generators that have tunes. */
const withTunes = [...tunes.keys()].filter((point) => tunes[point] !== null);

const extents = new Map();

/** What all tunes of a prompt have in common, so that their rolls can be compared: pitches and longest duration. */
function extentOf(prompt) {
  if (!extents.has(prompt)) extents.set(prompt, findExtent(prompt));
  return extents.get(prompt);
}

function findExtent(prompt) {
  const all = withTunes.flatMap((point) => tunesOf(point, prompt));
  const pitches = all.flatMap(({ notes }) => notes.map(({ pitch }) => pitch)).sort((a, b) => a - b);
  const longest = all.reduce((most, { ticks }) => Math.max(most, ticks), 1);
  // A few stray notes shall not make all others flat: the middle 99 % set the height, the rest is drawn at the edge.
  const at = (share) => pitches[Math.round(share * (pitches.length - 1))] ?? 60;
  const [low, high] = [at(0.005), at(0.995)];
  const { bar, scale, tonic, beat } = prompts[prompt];
  return { low: low - 1, high: Math.max(high, low + 11) + 1, longest, bar, scale, tonic, beat };
}

Object.assign(globalThis.cfgdistill, { tunesOf, withTunes, extentOf });
