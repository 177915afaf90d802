// The map of a prompt's tunes in the embedding.

const { data, drawing, fixed, tunesOf, withTunes } = globalThis.cfgdistill;

const WIDTH = 400;
const EDGE = 20;
const RADIUS = 8.5;

const figure = document.getElementById('gallery-map');

/** Places of a prompt's tunes in pixels: the same scale both ways, so that distances are those of the map. */
function scaleOf(prompt) {
  const places = withTunes.flatMap((point) => tunesOf(point, prompt).map(({ place }) => place));
  const ends = (axis) => {
    const values = places.map((place) => place[axis]);
    return values.length > 0 ? [Math.min(...values), Math.max(...values)] : [0, 0];
  };
  const [x, y] = [ends('x'), ends('y')];
  const across = x[1] - x[0] || 1;
  const factor = (WIDTH - 2 * EDGE) / across;
  const height = Math.max(220, Math.min(WIDTH, (y[1] - y[0]) * factor + 2 * EDGE));
  const fit = Math.min(factor, (height - 2 * EDGE) / (y[1] - y[0] || 1e-9));
  const middle = ([low, high]) => (low + high) / 2;
  return {
    height,
    place: (place) => ({
      x: WIDTH / 2 + (place.x - middle(x)) * fit,
      y: height / 2 - (place.y - middle(y)) * fit,
    }),
  };
}

/** Corners of the smallest convex outline of points (Andrew's monotone chain). */
function hull(points) {
  const sorted = [...points].sort((a, b) => a.x - b.x || a.y - b.y);
  const half = (order) => {
    const chain = [];
    for (const point of order) {
      while (chain.length > 1) {
        const [a, b] = chain.slice(-2);
        if ((b.x - a.x) * (point.y - a.y) - (b.y - a.y) * (point.x - a.x) > 0) break;
        chain.pop();
      }
      chain.push(point);
    }
    return chain.slice(0, -1);
  };
  return sorted.length < 3 ? sorted : [...half(sorted), ...half(sorted.reverse())];
}

let marks = [];
let focused = 0;

/** Makes one mark the one that the tab key reaches; arrows move between them. */
function focus(index) {
  marks[focused]?.node.setAttribute('tabindex', '-1');
  focused = (index + marks.length) % Math.max(1, marks.length);
  marks[focused]?.node.setAttribute('tabindex', '0');
}

function markOf(tune, letter, { x, y }, onPlay) {
  const { name, family } = data.points[tune.point];
  const label = `Tune ${tune.sample + 1} of ${name}: ${data.quality} ${fixed(tune.quality)}`;
  const node = drawing(
    'g',
    { class: 'mark', role: 'button', tabindex: '-1', 'aria-label': label, 'data-family': family },
    drawing('title', {}, label),
    drawing('circle', { cx: x, cy: y, r: RADIUS }),
    drawing('text', { x, y: y + 4 }, letter),
  );
  const hover = (detail) => () => document.dispatchEvent(new CustomEvent('tune-hover', { detail }));
  node.addEventListener('pointerenter', hover(tune));
  node.addEventListener('pointerleave', hover(null));
  node.addEventListener('focus', hover(tune));
  node.addEventListener('blur', hover(null));
  node.addEventListener('click', () => onPlay(tune));
  node.addEventListener('keydown', (event) => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === 'Enter' || event.key === ' ') onPlay(tune);
    else if (by !== undefined) {
      focus(focused + by);
      marks[focused].node.focus();
    } else return;
    event.preventDefault();
  });
  return { tune, node };
}

function dotOf(tune, { x, y }, onPlay) {
  const { name, family } = data.points[tune.point];
  const circle = drawing('circle', { class: 'dot', cx: x, cy: y, r: 3.5, 'data-family': family });
  circle.append(drawing('title', {}, `Tune ${tune.sample + 1} of ${name}: ${data.quality} ${fixed(tune.quality)}`));
  circle.addEventListener('click', () => onPlay(tune));
  return circle;
}

/**
 * Draws the map.
 *
 * @param rows `[{ point, letter }]` of the generators shown, in order
 * @param onPlay called with a tune whose mark is pressed
 */
function drawMap(prompt, rows, onPlay) {
  const scale = scaleOf(prompt);
  const shown = new Set(rows.map(({ point }) => point));
  const others = withTunes.filter((point) => !shown.has(point));
  const dots = others.flatMap((point) =>
    tunesOf(point, prompt).map((tune) => dotOf(tune, scale.place(tune.place), onPlay)),
  );
  const outlines = rows.map(({ point }) => {
    const corners = hull(tunesOf(point, prompt).map(({ place }) => scale.place(place)));
    const points = corners.map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ');
    return drawing('polygon', {
      class: 'outline',
      points,
      'data-family': data.points[point].family,
      'data-row': point,
    });
  });
  marks = rows.flatMap(({ point, letter }) =>
    tunesOf(point, prompt).map((tune) => markOf(tune, letter, scale.place(tune.place), onPlay)),
  );
  const svg = drawing(
    'svg',
    { viewBox: `0 0 ${WIDTH} ${scale.height}`, role: 'group', 'aria-label': 'Map of the tunes; arrow keys move' },
    ...outlines,
    ...dots,
    ...marks.map(({ node }) => node),
  );
  const before = figure.querySelector('svg');
  const held = before?.contains(document.activeElement) ? document.activeElement.getAttribute('aria-label') : null;
  before?.remove();
  figure.prepend(svg);
  const again = marks.findIndex(({ node }) => node.getAttribute('aria-label') === held);
  focus(Math.max(0, again));
  if (again >= 0) marks[again].node.focus();
}

/**
 * Gives the mark of a tune and its row's outline a class, and takes it from all others. A copy of the mark lies on top of
 * the others: moving the mark itself would take focus and pointer from it.
 */
function highlight(name, tune) {
  figure.querySelector(`.copy.${name}`)?.remove();
  for (const { tune: other, node } of marks) {
    const same = tune !== null && tune === other;
    node.classList.toggle(name, same);
    if (!same) continue;
    const copy = drawing('g', {
      class: `copy mark ${name}`,
      'data-family': node.dataset.family,
      'aria-hidden': 'true',
    });
    copy.append(...[...node.children].slice(1).map((child) => child.cloneNode(true)));
    node.parentNode.append(copy);
  }
  for (const outline of figure.querySelectorAll('.outline')) {
    outline.classList.toggle(name, tune !== null && Number(outline.dataset.row) === tune.point);
  }
}

Object.assign(globalThis.cfgdistill, { drawMap, highlightOnMap: highlight });
