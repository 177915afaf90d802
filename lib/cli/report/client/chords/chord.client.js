// Chord diagrams, and the voicings they show.

const { element } = globalThis.cfgdistill;

/** Reads a packed voicing: `+` valid or `-`, then one character per string (x muted, ? impossible, else base 36). */
function unpackVoicing(word) {
  const frets = [...word.slice(1)].map((digit) =>
    digit === 'x' ? -1 : digit === '?' ? -2 : Number.parseInt(digit, 36),
  );
  return { word, valid: word.startsWith('+'), frets };
}

/** How a player writes the frets: x32010, with dashes where a fret has two digits. */
function fretText(frets) {
  const names = frets.map((fret) => (fret === -1 ? 'x' : fret === -2 ? '?' : String(fret)));
  return names.join(names.some((name) => name.length > 1) ? '-' : '') || 'nothing';
}

/** Width of svguitar's drawings, and what the fret number needs beside them, in their units. */
const WIDTH = 400;
const FRET_NUMBER_WIDTH = 52;
const SIDE_PADDING = 0.12;

/** Height of all frets together, in the same units. */
const NECK = 360;

const drawn = new Map();

/** The diagram of a voicing as an SVG element; null where there are too few strings to draw. */
function chordDiagram(frets) {
  if (frets.length < 2) return null;
  const key = frets.join();
  if (!drawn.has(key)) drawn.set(key, draw(frets));
  return drawn.get(key).cloneNode(true);
}

function draw(frets) {
  const fretted = frets.filter((fret) => fret > 0);
  const lowest = Math.min(...fretted);
  const highest = Math.max(...fretted);
  const start = fretted.length === 0 || highest <= 4 ? 1 : lowest;
  const count = Math.max(4, fretted.length === 0 ? 0 : highest - start + 1);
  const spacing = (WIDTH * (1 - 2 * SIDE_PADDING)) / (frets.length - 1);
  const missing = { text: '?', strokeWidth: 0, textColor: 'currentColor' };
  const fingers = frets.map((fret, index) => {
    const string = frets.length - index;
    if (fret === -2) return [string, 'x', missing];
    return [string, fret === -1 ? 'x' : fret === 0 ? 0 : fret - start + 1];
  });
  const host = element('div', { className: 'measure' });
  document.body.append(host);
  new globalThis.svguitar.SVGuitarChord(host)
    .configure({
      strings: frets.length,
      frets: count,
      position: start,
      color: 'currentColor',
      fingerColor: 'currentColor',
      fontFamily: 'inherit',
      fingerSize: Math.min(0.72, 60 / spacing),
      fingerTextSize: 62,
      fretSize: NECK / count / spacing,
      strokeWidth: 3,
      nutWidth: 12,
      sidePadding: SIDE_PADDING,
      emptyStringIndicatorSize: Math.min(0.55, 40 / spacing),
    })
    .chord({ fingers, barres: [] })
    .draw();
  const svg = host.querySelector('svg');
  svg.setAttribute('aria-hidden', 'true');
  placeFretNumber(svg, start);
  host.remove();
  return svg;
}

/** Moves the number of the first fret to the left, in a size that can be read: svguitar shrinks it to fit the right. */
function placeFretNumber(svg, start) {
  const { height } = svg.viewBox.baseVal;
  svg.setAttribute('viewBox', `${-FRET_NUMBER_WIDTH} 0 ${WIDTH + FRET_NUMBER_WIDTH - 20} ${height}`);
  const text = svg.querySelector('.fret-position');
  if (text === null) return;
  text.textContent = String(start);
  for (const [name, value] of Object.entries({ x: 16, 'font-size': 64, 'text-anchor': 'end' })) {
    text.setAttribute(name, value);
  }
}

Object.assign(globalThis.cfgdistill, { unpackVoicing, fretText, chordDiagram });
