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
      fingerSize: 0.72,
      fretLabelFontSize: 64,
      fretSize: count > 5 ? 6 / count : 1.2,
      strokeWidth: 3,
      nutWidth: 12,
      sidePadding: 0.12,
      emptyStringIndicatorSize: 0.55,
    })
    .chord({ fingers, barres: [] })
    .draw();
  const svg = host.querySelector('svg');
  svg.setAttribute('aria-hidden', 'true');
  host.remove();
  return svg;
}

Object.assign(globalThis.cfgdistill, { unpackVoicing, fretText, chordDiagram });
