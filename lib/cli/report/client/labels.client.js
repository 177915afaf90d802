// Places the labels of marks so that they cover neither marks nor one another, as far as that is possible.

const HEIGHT = 15;
const WIDTH_PER_CHARACTER = 6.6;
const GAP = 8;

/** Where a label may stand, best first: offset of its box in units of (its width, its height, the gap). */
const PLACES = [
  { position: 'top center', x: -0.5, y: -1, gapX: 0, gapY: -1 },
  { position: 'bottom center', x: -0.5, y: 0, gapX: 0, gapY: 1 },
  { position: 'middle right', x: 0, y: -0.5, gapX: 1, gapY: 0 },
  { position: 'middle left', x: -1, y: -0.5, gapX: -1, gapY: 0 },
  { position: 'top right', x: 0, y: -1, gapX: 0.6, gapY: -0.6 },
  { position: 'top left', x: -1, y: -1, gapX: -0.6, gapY: -0.6 },
  { position: 'bottom right', x: 0, y: 0, gapX: 0.6, gapY: 0.6 },
  { position: 'bottom left', x: -1, y: 0, gapX: -0.6, gapY: 0.6 },
];

function overlap(a, b) {
  const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  return width > 0 && height > 0 ? width * height : 0;
}

/**
 * Chooses a place for each label, in order; a label with no place that is nearly free is left out.
 *
 * @param labels `[{ x, y, text }]` in pixels
 * @param marks `[{ x, y }]` in pixels, none of which should be covered
 * @param size `{ width, height }` of the drawing
 * @returns for each label the Plotly text position, or null
 */
function placeLabels(labels, marks, size) {
  const taken = marks.map(({ x, y }) => ({ left: x - 6, right: x + 6, top: y - 6, bottom: y + 6 }));
  return labels.map(({ x, y, text }) => {
    const width = text.length * WIDTH_PER_CHARACTER;
    let chosen = null;
    for (const place of PLACES) {
      const left = x + place.x * width + place.gapX * GAP;
      const top = y + place.y * HEIGHT + place.gapY * GAP;
      const box = { left, right: left + width, top, bottom: top + HEIGHT };
      if (left < 0 || top < 0 || box.right > size.width || box.bottom > size.height) continue;
      const covered = taken.reduce((sum, other) => sum + overlap(box, other), 0);
      if (chosen === null || covered < chosen.covered - 1) chosen = { position: place.position, box, covered };
    }
    if (chosen === null || chosen.covered > 0.2 * width * HEIGHT) return null;
    taken.push(chosen.box);
    return chosen.position;
  });
}

globalThis.cfgdistill.placeLabels = placeLabels;
