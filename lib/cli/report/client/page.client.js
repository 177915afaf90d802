// What the page's scripts share: the data, colours and a way to make elements. Each script is a module of its own; this
// one runs first.

const data = JSON.parse(document.getElementById('data').textContent);

/** Plotly symbols of the families, so that they differ without colour too. */
const SYMBOLS = {
  base: 'star',
  guidance: 'circle',
  temperature: 'square',
  'top-k': 'triangle-up',
  nucleus: 'diamond',
  distilled: 'hexagon',
  merged: 'pentagon',
  'off-policy': 'cross',
};

/** The value of a custom property of the page's style in the scheme shown now, such as `--merged`. */
function style(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** The colour of a family in the scheme shown now. */
function colour(family) {
  return style(`--${family}`);
}

/** An element with properties (attributes where the name has a dash) and children; text is never read as HTML. */
function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes('-')) node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children);
  return node;
}

/** Text as Plotly takes it literally: it reads a few tags and entities in its texts. */
function plotText(text) {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}

/** Layout that every plot has: the page's font and colours, nothing behind it. */
function plotLayout() {
  const ink = style('--ink');
  const grid = style('--grid');
  const axis = {
    gridcolor: grid,
    zeroline: false,
    linecolor: grid,
    tickcolor: grid,
    automargin: true,
    fixedrange: true,
  };
  return {
    paper_bgcolor: 'rgba(0,0,0,0)',
    plot_bgcolor: 'rgba(0,0,0,0)',
    font: { family: style('--font'), size: 13, color: ink },
    hoverlabel: {
      align: 'left',
      bgcolor: style('--card'),
      bordercolor: style('--muted'),
      font: { family: style('--font'), size: 13, color: ink },
    },
    showlegend: false,
    xaxis: { ...axis },
    yaxis: { ...axis },
  };
}

/** An SVG element with attributes and children. */
function drawing(tag, attributes = {}, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** A figure that may be missing. */
function fixed(value, digits = 2) {
  return value === null || value === undefined ? '–' : value.toFixed(digits).replace('-', '−');
}

/** Calls `draw` now, and again when the scheme or the width of `node` changes. */
function keepDrawn(node, draw) {
  let width = 0;
  let pending = 0;
  const later = () => {
    cancelAnimationFrame(pending);
    pending = requestAnimationFrame(draw);
  };
  draw();
  width = node.clientWidth;
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', later);
  new ResizeObserver(() => {
    if (node.clientWidth !== width) {
      width = node.clientWidth;
      later();
    }
  }).observe(node);
}

globalThis.cfgdistill = { data, SYMBOLS, style, colour, element, drawing, fixed, plotText, plotLayout, keepDrawn };
