// Piano rolls: time to the right, pitch upwards, in lines of about sixteen bars.

const { drawing } = globalThis.cfgdistill;

/** The most of a line: eighteen bars, so that tunes of sixteen and some strays have one; eighteen whole notes without bars. */
const BARS_PER_LINE = 18;
const TICKS_WITHOUT_BARS = 18 * 96;
/** Pixels of a semitone, and the least and most of a line. */
const SEMITONE = 2.6;
const HEIGHTS = [44, 84];
/** Height of a note in semitones: more than one, so that neighbours touch. */
const THICKNESS = 1.5;

/** Where lines break: at the last bar line that fits, or where the line is full. */
function linesOf({ bars, ticks }, width) {
  const lines = [];
  let start = 0;
  while (start < ticks) {
    const full = start + width;
    const fitting = bars.filter(({ at }) => at > start && at <= full).at(-1)?.at;
    const end = ticks <= full ? ticks : (fitting ?? full);
    lines.push({ start, end });
    start = end;
  }
  return lines.length > 0 ? lines : [{ start: 0, end: 0 }];
}

function rectangle(x, y, width, height) {
  return `M${x.toFixed(1)} ${y.toFixed(2)}h${width.toFixed(1)}v${height}h${(-width).toFixed(1)}z`;
}

/**
 * The roll of a tune.
 *
 * @returns the element, a function that shows a position in ticks (null: none), and one that tells the ticks at a pointer
 */
function pianoRoll(tune, extent) {
  const { low, high, longest, bar, scale, tonic } = extent;
  const count = Math.ceil(longest / (bar === null ? TICKS_WITHOUT_BARS : BARS_PER_LINE * bar));
  // Lines break at bars, so each has room for half a bar more than its share.
  const width = count === 1 ? longest : longest / count + (bar ?? 96) / 2;
  const pixels = Math.max(HEIGHTS[0], Math.min(HEIGHTS[1], (high - low + 1) * SEMITONE));
  const lines = linesOf(tune, width).map((line) => drawLine(tune, line, { low, high, width, scale, tonic, pixels }));
  const box = document.createElement('div');
  box.className = 'roll';
  box.append(...lines.map(({ svg }) => svg));
  const show = (ticks) => {
    for (const { start, end, head } of lines) {
      const here = ticks !== null && ticks >= start && (ticks < end || (end === tune.ticks && ticks <= end));
      head.setAttribute('visibility', here ? 'visible' : 'hidden');
      if (here) head.setAttribute('transform', `translate(${ticks - start} 0)`);
    }
    if (ticks === null) delete box.dataset.ticks;
    else box.dataset.ticks = String(Math.round(ticks));
  };
  const ticksAt = (event) => {
    const line = lines.find(({ svg }) => svg.contains(event.target));
    if (line === undefined) return null;
    const { left, width: across } = line.svg.getBoundingClientRect();
    const ticks = line.start + ((event.clientX - left) / across) * width;
    return ticks < line.end ? Math.max(0, ticks) : null;
  };
  return { box, show, ticksAt };
}

function drawLine(tune, { start, end }, { low, high, width, scale, tonic, pixels }) {
  const rows = high - low + 1;
  const gap = width / 400;
  const inside = [];
  const outside = [];
  for (const note of tune.notes) {
    const from = Math.max(note.start, start);
    const to = Math.min(note.end, end);
    if (to <= from) continue;
    const pitch = Math.max(low, Math.min(high, note.pitch));
    const path = rectangle(
      from - start,
      high - pitch + (1 - THICKNESS) / 2,
      Math.max(to - from - gap, (to - from) / 2),
      THICKNESS,
    );
    (scale === null || scale.includes(note.pitch % 12) ? inside : outside).push(path);
  }
  const tonics = [];
  for (let pitch = low; pitch <= high; pitch++) {
    if (tonic !== null && pitch % 12 === tonic) tonics.push(`M0 ${high - pitch + 0.5}H${end - start}`);
  }
  const within = tune.bars.filter(({ at }) => at > start && at <= end);
  const upright = (bars) => bars.map(({ at }) => `M${at - start} 0V${rows}`).join('');
  const uneven = tune.uneven.flatMap(([from, to]) => {
    const [a, b] = [Math.max(from, start), Math.min(to, end)];
    return b > a ? [rectangle(a - start, 0, b - a, rows)] : [];
  });
  const head = drawing('path', { class: 'head', d: `M0 0V${rows}`, visibility: 'hidden' });
  const svg = drawing(
    'svg',
    { viewBox: `0 0 ${width} ${rows}`, preserveAspectRatio: 'none', height: pixels, 'aria-hidden': 'true' },
    drawing('path', { class: 'ground', d: rectangle(0, 0, end - start, rows) }),
    drawing('path', { class: 'uneven', d: uneven.join('') }),
    drawing('path', { class: 'tonic', d: tonics.join('') }),
    drawing('path', { class: 'bar', d: upright(within.filter(({ line }) => line === '|')) }),
    drawing('path', { class: 'bar double', d: upright(within.filter(({ line }) => line !== '|')) }),
    drawing('path', { class: 'notes', d: inside.join('') }),
    drawing('path', { class: 'notes outside', d: outside.join('') }),
    head,
  );
  return { start, end, svg, head };
}

globalThis.cfgdistill.pianoRoll = pianoRoll;
