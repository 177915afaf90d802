// The figure of quality against diversity.

const { data, SYMBOLS, colour, element, keepDrawn, placeLabels, plotLayout, plotText, style } = globalThis.cfgdistill;

const plot = document.getElementById('front-plot');
const axis = document.getElementById('front-axis');
const intervals = document.getElementById('front-intervals');
const labels = document.getElementById('front-labels');
const strategies = document.getElementById('front-strategies');
const hint = document.getElementById('front-hint');
const hidden = new Set();

const AXIS_TITLES = {
  diversity: 'diversity: mean 1 − cosine within a prompt',
  independentDiversity: 'independent diversity',
  distinctValid: 'distinct valid answers per prompt',
};

const MARGIN = { l: 56, r: 16, t: 12, b: 52 };

function isShown(point) {
  return !hidden.has(point.family) && (point.plain || strategies.checked) && position(point) !== null;
}

function position(point) {
  const x = point[axis.value];
  return x === null || point.quality === null ? null : { x, y: point.quality };
}

/** Indices of the points that no other beats in both figures, by falling quality. */
function frontOf(points) {
  if (axis.value === 'diversity') return data.front;
  const all = [...points.keys()].filter((index) => position(points[index]) !== null);
  const beaten = (a, b) => b.x >= a.x && b.y >= a.y && (b.x > a.x || b.y > a.y);
  return all
    .filter((index) => !all.some((other) => beaten(position(points[index]), position(points[other]))))
    .sort((a, b) => points[b].quality - points[a].quality);
}

function errorBars(points, key, tint) {
  const bound = (end) => points.map((point) => Math.max(0, (point.interval[key][end] - point[key]) * (end ? 1 : -1)));
  return { type: 'data', symmetric: false, array: bound(1), arrayminus: bound(0), color: tint, thickness: 1, width: 0 };
}

function familyTrace({ family, plain, indices, places }) {
  const points = indices.map((index) => data.points[index]);
  const tint = colour(family);
  const trace = {
    type: 'scatter',
    mode: 'markers+text',
    x: points.map((point) => point[axis.value]),
    y: points.map((point) => point.quality),
    customdata: indices.map((index) => [hoverText(data.points[index]), index]),
    hovertemplate: '%{customdata[0]}<extra></extra>',
    text: indices.map((index) => (places.get(index) ? plotText(data.points[index].label) : '')),
    textposition: indices.map((index) => places.get(index) ?? 'top center'),
    textfont: { color: tint, size: 12 },
    marker: {
      color: tint,
      size: plain ? (family === 'base' ? 18 : 13) : 8,
      symbol: points.map((point) => SYMBOLS[family] + (point.passesPerToken > 1 ? '-open' : '')),
      line: { width: points.map((point) => (point.passesPerToken > 1 ? 2.5 : 0)), color: tint },
      opacity: plain ? 1 : 0.7,
    },
    cliponaxis: false,
  };
  if (intervals.checked) {
    const faint = `color-mix(in srgb, ${tint} ${plain ? 50 : 20}%, ${style('--card')})`;
    trace.error_y = errorBars(points, 'quality', mixed(faint));
    if (axis.value === 'diversity') trace.error_x = errorBars(points, 'diversity', mixed(faint));
  }
  return trace;
}

/** A CSS colour as `rgb(…)`, which is all that Plotly reads. */
function mixed(css) {
  const probe = element('span');
  probe.style.color = css;
  document.body.append(probe);
  const computed = getComputedStyle(probe).color;
  probe.remove();
  const srgb = computed.match(/^color\(srgb ([\d.]+) ([\d.]+) ([\d.]+)/);
  return srgb ? `rgb(${srgb.slice(1).map((part) => Math.round(Number(part) * 255))})` : computed;
}

function hoverText(point) {
  const facts = point.facts.map(([name, value]) => `${plotText(name)}: <b>${plotText(value)}</b>`);
  return [`<b>${plotText(point.name)}</b>`, ...facts].join('<br>');
}

/** Ends of an axis that hold all values with some air. */
function range(values) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const air = (high - low) * 0.06 || 0.05;
  return [low - air, high + air];
}

/** Indices of the shown points, with the ranges of both axes. */
function view() {
  const shown = [...data.points.keys()].filter((index) => isShown(data.points[index]));
  const points = shown.map((index) => data.points[index]);
  const ends = (key) =>
    points.flatMap((point) => (intervals.checked && point.interval[key]) || []).filter((end) => end !== null);
  const x = points.map((point) => point[axis.value]).concat(axis.value === 'diversity' ? ends('diversity') : []);
  const y = points.map((point) => point.quality).concat(ends('quality'));
  return { shown, x: points.length ? range(x) : [0, 1], y: points.length ? range(y) : [0, 1] };
}

function placesOf({ shown, x, y }, width, height) {
  const pixel = (index) => {
    const at = position(data.points[index]);
    return {
      x: ((at.x - x[0]) / (x[1] - x[0])) * width,
      y: ((y[1] - at.y) / (y[1] - y[0])) * height,
      text: data.points[index].label,
    };
  };
  // What the page is about is labelled first; the others get what room is left.
  const rank = (index) => ['base', 'merged', 'distilled', 'guidance'].indexOf(data.points[index].family) >>> 0;
  const named = labels.checked ? shown.filter((index) => data.points[index].plain) : [];
  named.sort((a, b) => rank(a) - rank(b));
  const positions = placeLabels(named.map(pixel), shown.map(pixel), { width, height });
  return new Map(named.map((index, order) => [index, positions[order]]));
}

function line(indices, properties) {
  const points = indices.map((index) => data.points[index]).filter((point) => position(point) !== null);
  return {
    type: 'scatter',
    mode: 'lines',
    hoverinfo: 'skip',
    x: points.map((point) => point[axis.value]),
    y: points.map((point) => point.quality),
    line: properties,
  };
}

function draw() {
  const height = Math.max(380, Math.min(640, plot.clientWidth * 0.62));
  const shown = view();
  const places = placesOf(shown, plot.clientWidth - MARGIN.l - MARGIN.r, height - MARGIN.t - MARGIN.b);
  const front = frontOf(data.points);
  const trained = new Set(['distilled', 'merged', 'guidance', 'off-policy']);
  const traces = [
    line(front, { color: style('--muted'), width: 1.5, dash: 'dash', shape: 'vh' }),
    ...data.sweeps
      .filter(({ family }) => !hidden.has(family))
      .map(({ family, points }) =>
        line(points, {
          color: colour(family),
          width: trained.has(family) ? 2.5 : 1,
          dash: trained.has(family) ? 'solid' : 'dot',
        }),
      ),
    // The marks without strategies come last, on top of the others.
    ...[false, true].flatMap((plain) =>
      data.families.map(({ family }) => {
        const isOne = (point) => point.family === family && point.plain === plain;
        return familyTrace({
          family,
          plain,
          places,
          indices: shown.shown.filter((index) => isOne(data.points[index])),
        });
      }),
    ),
  ];
  const layout = plotLayout();
  const title = (text) => ({ text, standoff: 8, font: { size: 13 } });
  Object.assign(layout, { width: plot.clientWidth, height, margin: MARGIN, hovermode: 'closest' });
  Object.assign(layout.xaxis, { range: shown.x, title: title(`${AXIS_TITLES[axis.value]} →`) });
  Object.assign(layout.yaxis, { range: shown.y, title: title(`quality: ${data.quality} →`), automargin: false });
  layout.xaxis.automargin = false;
  globalThis.Plotly.react(plot, traces, layout, { displayModeBar: false });
  const known = axis.value === 'diversity' ? '' : ' Front recomputed for this axis; it has no intervals across.';
  hint.textContent = `On the front: ${front.map((index) => data.points[index].name).join(' · ') || 'nothing'}.${known}`;
}

/** The families as buttons that hide and show them. */
function drawLegend() {
  const legend = document.getElementById('front-legend');
  for (const { family, name } of data.families) {
    const button = element('button', { type: 'button', 'aria-pressed': 'true', 'data-family': family }, name);
    button.addEventListener('click', () => {
      if (!hidden.delete(family)) hidden.add(family);
      button.setAttribute('aria-pressed', String(!hidden.has(family)));
      draw();
    });
    legend.append(button);
  }
}

drawLegend();
keepDrawn(plot, draw);
for (const control of [axis, intervals, labels, strategies]) control.addEventListener('change', draw);
plot.on('plotly_click', ({ points }) => {
  const [, point] = points[0].customdata ?? [];
  if (point !== undefined) document.dispatchEvent(new CustomEvent('show-point', { detail: point }));
});
